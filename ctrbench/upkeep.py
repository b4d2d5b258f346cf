"""Stored results kept in order: verified, merged from other workspaces, freed of orphans."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctrbench import impressions
from ctrbench.atomic import abandoned, atomic_file, disk_errors, sweep
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, CtrBenchError, DamagedError, raise_all
from ctrbench.schema import CellRecord
from ctrbench.sealed import is_sealed
from ctrbench.store import PUBLISHED, Store
from ctrbench.workspace import Workspace

COMPANIONS = (".parquet", ".users.npz", ".trace", ".safetensors")  # of a cell, beside its record
IDLE_S = 3600  # a partial file unchanged for an hour is taken to have no writer


@dataclass(frozen=True)
class Verified(Displayed, view="upkeep.show_verified"):
    """The outcome of reading every stored result."""

    cells: int
    packed: int  # of the cells, those that only a pack holds
    unsealed: int  # records from before records had a checksum
    problems: tuple[str, ...]  # one message per damaged file


@dataclass(frozen=True)
class Merged(Displayed, view="upkeep.show_merged"):
    """The outcome of copying results from other workspaces."""

    copied: int
    equal: int  # stored in both with equal results
    conflicts: tuple[str, ...]  # one line per cell or pack with other content; ours is kept
    problems: tuple[str, ...]  # one message per damaged file of a source, which is not copied


@dataclass(frozen=True)
class Orphan:
    """A file or folder that nothing refers to."""

    path: Path
    why: str
    size_bytes: int


def verify(workspace: Workspace) -> Verified:
    """Read every record with its influence values, predictions, trace and weights.

    Args:
        workspace: The workspace whose results are read.
    """
    store, problems = Store(workspace), []
    cells, unsealed = set(), 0
    for path in _records(workspace):
        try:
            record = store.read_file(path)
            cells.add(record.hash)
            unsealed += not is_sealed(path)
            _require_intact(store, record)
        except CtrBenchError as error:
            problems.append(str(error))
    for dataset in sorted(_folders(workspace.results)):
        try:
            store.read_summary(dataset.name)
            store.ceiling_influence(dataset.name)
            for version in store.version_names(dataset.name):
                store.read_version(dataset.name, version)
        except CtrBenchError as error:
            problems.append(str(error))
    packed = set()
    try:
        packed = store.packed_hashes() - cells
    except CtrBenchError as error:
        problems.append(str(error))
    return Verified(len(cells | packed), len(packed), unsealed, tuple(problems))


def merge(workspace: Workspace, sources: Sequence[Workspace]) -> Merged:
    """Copy the cells that only other workspaces have.

    A cell is copied with its influence values, predictions, trace and weights, its record last.
    Packs, and facts about data sets and versions, are copied where they are missing. Nothing
    stored is replaced.

    Args:
        workspace: The workspace that receives the cells.
        sources: The other workspaces.

    Raises:
        ConfigError: A source has no results, or its results contain symbolic links.
        StoreError: The results cannot be written.
    """
    for source in sources:
        _require_plain(source)
    sweep(workspace.results)
    store = Store(workspace)
    copied, equal = 0, 0
    conflicts: list[str] = []
    problems: list[str] = []
    for source in sources:
        theirs = Store(source)
        for path in _records(source):
            target = workspace.results / path.relative_to(source.results)
            try:
                record = theirs.read_file(path)
                _require_intact(theirs, record)
            except CtrBenchError as error:
                problems.append(str(error))
                continue
            try:
                ours = store.read(record.cell)
            except DamagedError:
                ours = None  # theirs replaces it
            if ours is None or (ours.status == "failed" and record.status == "done"):
                for suffix in (*COMPANIONS, ".json"):
                    _copy(path.with_suffix(suffix), target.with_suffix(suffix))
                copied += 1
            elif difference := _difference(ours, record):
                conflicts.append(f"{record.cell.label} ({record.hash}): {difference}")
            else:
                equal += 1
        for pattern in (
            "*/dataset*.json",
            "*/ceiling.users.npz",
            "*/*/version.json",
            "*/*/predictions*.json",
        ):
            for path in sorted(source.results.glob(pattern)):
                target = workspace.results / path.relative_to(source.results)
                if not target.exists():
                    _copy(path, target)
        try:
            theirs.packed_hashes()
        except CtrBenchError as error:
            problems.append(str(error))
            continue
        for path in sorted(source.results.glob(f"{PUBLISHED}/[!.]*.parquet")):
            target = workspace.results / path.relative_to(source.results)
            if not target.exists():
                _copy(path, target)
            elif target.read_bytes() != path.read_bytes():
                conflicts.append(f"the pack {path.name} has another content there")
    return Merged(copied, equal, tuple(conflicts), tuple(problems))


def _require_plain(source: Workspace) -> None:
    """Check that a source has results, and that no link leads to files elsewhere.

    Raises:
        ConfigError: It has none, or it has links.
    """
    if not source.results.is_dir():
        raise ConfigError(f"{source.home} has no folder results/; give another workspace.")
    links = [
        f"{path} -> {path.readlink()}"
        for root, folders, files in os.walk(source.results)
        for path in (Path(root, name) for name in sorted((*folders, *files)))
        if path.is_symlink()
    ]
    heading = (
        f"{source.results} contains symbolic links, whose targets would be copied. Replace them by "
        "the files, or remove them:"
    )
    raise_all(links, ConfigError, heading)


def _require_intact(store: Store, record: CellRecord) -> None:
    """Read the files beside a record.

    Raises:
        DamagedError: One of them is damaged, missing, or belongs to another cell.
    """
    store.require_influence(record)
    for period in record.metrics:
        store.predictions(record.cell, period)
    store.read_trace(record.cell)
    store.read_model(record.cell)


def orphans(workspace: Workspace) -> list[Orphan]:
    """Return what can be removed without changing any result.

    These are files of cells without a record, partial files without a writer, and caches of data
    sets that are no longer stored.

    Args:
        workspace: The workspace to search.
    """
    return [Orphan(path, why, _size(path)) for path, why in sorted(_orphans(workspace), key=str)]


def remove_orphans(found: Sequence[Orphan]) -> None:
    """Remove files and folders.

    Args:
        found: From `orphans`.

    Raises:
        StoreError: One of them cannot be removed.
    """
    for orphan in found:
        with disk_errors(orphan.path):
            if orphan.path.is_dir() and not orphan.path.is_symlink():
                shutil.rmtree(orphan.path)
            else:
                orphan.path.unlink(missing_ok=True)


def _orphans(workspace: Workspace) -> Iterator[tuple[Path, str]]:
    for suffix in COMPANIONS:
        for path in workspace.results.glob(f"*/*/*/[!.]*{suffix}"):
            if not path.with_name(path.name.removesuffix(suffix) + ".json").exists():
                yield path, "its cell has no record"
    for folder in (workspace.data, workspace.embeddings, workspace.cache, workspace.results):
        for path in abandoned(folder, IDLE_S):
            yield path, "an interrupted command left it"
    hashes, names = set(), impressions.names(workspace)
    for name in names:
        hashes.add(impressions.read_manifest(workspace, name).content_hash)
    for path in _folders(workspace.cache / "data"):
        if path.name not in hashes:
            yield path, "its data set is no longer stored"
    for kind in ("prepared", "warm_start", "codebooks", "quality"):
        for path in _folders(workspace.cache / kind):
            if path.name not in names:
                yield path, "its data set is no longer stored"


def _records(workspace: Workspace) -> list[Path]:
    """Return the files of all records."""
    return sorted(workspace.results.glob("*/*/*/[!.]*.json"))


def _folders(folder: Path) -> list[Path]:
    """Return the folders of a folder, without partial ones."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]


def _difference(ours: CellRecord, theirs: CellRecord) -> str | None:
    """Return the first difference; None: equal, except for metrics that only one of them has."""
    if ours.status != theirs.status:
        return f"{ours.status} here, {theirs.status} there"
    if ours.metrics.keys() != theirs.metrics.keys():
        return f"{_periods(ours)} here, {_periods(theirs)} there"
    for period, metrics in ours.metrics.items():
        here, there = metrics.model_dump(), theirs.metrics[period].model_dump()
        for name in here:
            if name in there and here[name] != there[name]:
                return f"{name} of {period} is {here[name]} here, {there[name]} there"
    return None


def _periods(record: CellRecord) -> str:
    return f"metrics of {' and '.join(record.metrics) or 'no period'}"


def _copy(path: Path, target: Path) -> None:
    if path.exists():
        with atomic_file(target) as temporary:
            shutil.copyfile(path, temporary)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
