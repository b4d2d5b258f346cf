"""The truth folder: the hidden truth of a log, in parts that are written atomically."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.atomic import atomic_file, write_json
from ctrbench.errors import ConfigError
from data_synth.clicks import ClickModel, Log, blocks, log_parts
from data_synth.world import WorldConfig

START = 1_700_000_000  # seconds since 1970, the start of a world
CONFIG, ATTAINABLE = "world.json", "attainable.json"

WriteProgress = Callable[[str, int, int], None]  # step, done, total


def open_truth(folder: Path, config: WorldConfig, extra: dict[str, Any]) -> None:
    """Write the config of a world as the first file of its folder, or compare it with the stored.

    Args:
        folder: The truth folder.
        config: The world.
        extra: Further settings that must be the same when the run resumes.

    Raises:
        ConfigError: The folder contains another world.
        StoreError: The folder cannot be written.
    """
    chosen = {key: value for key, value in asdict(config).items() if value is not None}
    expected = json.loads(json.dumps(chosen | extra))
    path = folder / CONFIG
    if not path.is_file():
        write_json(path, expected)
        return
    stored = json.loads(path.read_bytes())
    differing = [
        f"{key} is {stored.get(key)}, not {value}"
        for key, value in expected.items()
        if stored.get(key) != value
    ]
    if differing:
        raise ConfigError(
            f"{folder} contains another world {config.kind!r} ({', '.join(differing)}). "
            "Choose another --out, or delete that world. Nothing was changed."
        )


def write_log(folder: Path, model: ClickModel, workers: int, progress: WriteProgress) -> list[Path]:
    """Write the missing parts of the log in order, and return the paths of all parts.

    Args:
        folder: The truth folder.
        model: The click model of the world.
        workers: The number of threads.
        progress: Receives the number of written parts.
    """
    paths = parts(folder, model.world.config)
    first = next((number for number, path in enumerate(paths) if not path.exists()), len(paths))
    if first < len(paths):
        for number, log in enumerate(log_parts(model, first, workers), start=first):
            if not paths[number].exists():
                _write_part(paths[number], log)
            progress("impressions", number + 1, len(paths))
    return paths


def parts(folder: Path, config: WorldConfig) -> list[Path]:
    """Return the paths of the parts of a world's log, in order of time.

    Args:
        folder: The truth folder.
        config: The world.
    """
    return [folder / f"log-{number:05d}.parquet" for number in range(blocks(config))]


def columns_of(paths: list[Path], names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """Yield columns of the log, one part at a time.

    Args:
        paths: The parts.
        names: The columns.
    """
    import pyarrow.parquet as pq

    for path in paths:
        table = pq.read_table(path, columns=names)
        yield {name: table.column(name).to_numpy() for name in names}


def _write_part(path: Path, log: Log) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "user_id": log.user + np.int32(1),
        "item_id": log.item + np.int32(1),
        "timestamp": START + log.time,
        "position": log.position,
        "click": log.click,
        "p_true": log.p_true,
        "p_without_style": log.p_without_style,
    }
    delta = {"timestamp": "DELTA_BINARY_PACKED"}  # ascending: about one byte each
    with atomic_file(path) as temporary:
        pq.write_table(
            pa.table(columns),
            temporary,
            compression="zstd",
            use_dictionary=False,
            column_encoding=delta,
        )
