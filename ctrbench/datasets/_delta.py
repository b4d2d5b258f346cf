"""Find the current files of a Delta table by replaying its log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ctrbench.errors import DataError

LOG = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\.\d{10}\.(\d{10}))?\.parquet")
ACTIONS = ("add", "remove", "metaData", "sidecar")

Partitions = dict[str, str | None]


@dataclass
class _State:
    """The files of the table after the actions so far."""

    files: dict[str, Partitions] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)  # tombstones

    def apply(self, action: dict[str, Any], log: Path) -> None:
        """Apply one action of the log."""
        if action.get("sidecar"):
            raise DataError(f"{log} has a checkpoint of version 2. {_EXPORT}")
        if added := action.get("add"):
            if added.get("deletionVector"):
                raise DataError(f"{log} marks single rows as deleted (deletion vectors). {_EXPORT}")
            self.files[added["path"]] = dict(added.get("partitionValues") or {})
            self.removed.discard(added["path"])
        if removed := action.get("remove"):
            self.files.pop(removed["path"], None)
            self.removed.add(removed["path"])
        configured = dict((action.get("metaData") or {}).get("configuration") or {})
        if configured.get("delta.columnMapping.mode", "none") != "none":
            raise DataError(f"{log} maps the names of columns. {_EXPORT}")


_EXPORT = "Export the table as plain Parquet, and import that."


def is_delta(folder: Path) -> bool:
    """Return whether a folder is a Delta table."""
    return (folder / LOG).is_dir()


def current_files(folder: Path) -> dict[Path, Partitions]:
    """Return the Parquet files of a Delta table's latest version and their partition values.

    Args:
        folder: The folder of the table.

    Raises:
        DataError: The log is incomplete, lists a missing file, or uses features that plain Parquet
            files do not represent: deletion vectors, column mapping, checkpoints of version 2.
    """
    log = folder / LOG
    state = _State()
    try:
        for action in _actions(log):
            state.apply(action, log)
        found = {folder / unquote(path): values for path, values in state.files.items()}
        home = folder.resolve()
        outside = [path for path in found if not path.resolve().is_relative_to(home)]
        absent = [path for path in found if not path.is_file()]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError) as error:
        raise DataError(f"{log} is damaged: {error}") from error
    if outside:
        raise DataError(
            f"{log} lists {len(outside)} file(s) outside the table, such as {outside[0]}. {_EXPORT}"
        )
    if absent:
        raise DataError(
            f"{log} lists {len(absent)} file(s) that do not exist, such as {absent[0]}. Copy the "
            "whole table."
        )
    return dict(sorted(found.items()))


def _actions(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the actions of the latest checkpoint and of the later commits."""
    version, checkpoint = _checkpoint(log)
    for path in checkpoint:
        yield from _rows(path)
    commits = {
        int(match[1]): path for path in log.iterdir() if (match := COMMIT.fullmatch(path.name))
    }
    later = sorted(number for number in commits if number > version)
    if later != list(range(version + 1, version + 1 + len(later))) or version + len(later) < 0:
        raise DataError(f"{log} is incomplete: commits are missing. Copy the whole table.")
    for number in later:
        for line in commits[number].read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


def _checkpoint(log: Path) -> tuple[int, list[Path]]:
    """Return the version of the latest complete checkpoint and its files; -1 if there is none."""
    found: dict[tuple[int, int], list[Path]] = {}
    for path in sorted(log.iterdir()):
        if match := CHECKPOINT.fullmatch(path.name):
            found.setdefault((int(match[1]), int(match[3] or 1)), []).append(path)
    whole = {key: paths for key, paths in found.items() if len(paths) == key[1]}
    if not whole:
        return -1, []
    latest = max(whole)
    return latest[0], whole[latest]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            known = [name for name in ACTIONS if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=known):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise DataError(f"{path} is damaged: {error}") from error
