"""The stored cell that a command names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ctrbench.analysis.two_arms import matrix_cells
from ctrbench.errors import ConfigError, first_line
from ctrbench.plan import PROTOCOL, Matrix
from ctrbench.schema import CellRecord
from ctrbench.serving.loading import mode_of
from ctrbench.store import Store
from ctrbench.workspace import Workspace

SHORTEST = 4  # characters of a hash
SHOWN = 5  # cells in a message


def select(workspace: Workspace, name: str, matrix: Matrix | None = None) -> CellRecord:
    """Return the finished record of the cell that a name selects.

    Args:
        workspace: The workspace that holds the results.
        name: The first characters of a hash; DATASET/VERSION/MODE, optionally with /SEED; or, with
            a matrix, VERSION/MODE, optionally with /SEED. Without a seed: the first seed.
        matrix: The matrix that selects the settings.

    Raises:
        ConfigError: No cell or several cells match, the cell failed, has only a trace, or cannot be
            exported.
        UnknownNameError: The matrix has no such arm.
    """
    found = _of_store(workspace, name) if matrix is None else _of_matrix(workspace, name, matrix)
    if not found:
        traced = [path.stem for path in _traces(workspace) if path.stem.startswith(name)]
        if traced and "/" not in name:
            raise ConfigError(
                f"cell {traced[0]} has only a trace, no record. Run its benchmark file, which "
                "trains it."
            )
        raise ConfigError(
            f"no stored cell matches {name!r} in {workspace.results}. Give a hash, or "
            "DATASET/VERSION/MODE, optionally with /SEED, or --file and VERSION/MODE."
        )
    if len(found) > 1:
        labels = "; ".join(f"{one.hash} is {one.cell.label}" for one in found[:SHOWN])
        raise ConfigError(f"{len(found)} stored cells match {name!r}: {labels}. Give a hash.")
    _check(found[0])
    return found[0]


def _check(record: CellRecord) -> None:
    """Raise an error if a cell cannot be exported."""
    cell = record.cell
    if cell.imported:
        raise ConfigError(
            f"cell {record.hash} ({cell.label}) holds imported predictions of another model; there "
            "is no model to export."
        )
    if record.status == "failed":
        raise ConfigError(
            f"cell {record.hash} ({cell.label}) failed, so there is no model to export: "
            f"{first_line(record.reason)} Correct the cause and run its benchmark file with "
            "--retry-failed."
        )
    revision = mode_of(cell).revision
    if (cell.protocol, cell.mode_revision) != (PROTOCOL, revision):
        raise ConfigError(
            f"cell {record.hash} ({cell.label}) was trained under protocol {cell.protocol} and "
            f"revision {cell.mode_revision} of its mode, but this ctrbench has protocol {PROTOCOL} "
            f"and revision {revision}. Run its benchmark file again."
        )


def _of_matrix(workspace: Workspace, name: str, matrix: Matrix) -> list[CellRecord]:
    (arm, seed), store = _seed_apart(name, 2), Store(workspace)
    cells = [cell for cell in matrix_cells(matrix, arm) if seed in (None, cell.seed)]
    stored = [record for cell in cells if (record := store.read(cell)) is not None]
    return _first_seed(stored) if seed is None else stored


def _of_store(workspace: Workspace, name: str) -> list[CellRecord]:
    store = Store(workspace)
    if "/" not in name:
        if len(name) < SHORTEST:
            raise ConfigError(
                f"{name!r} is too short for a hash: give at least {SHORTEST} characters."
            )
        folders = sorted(path.name for path in workspace.results.glob("*") if path.is_dir())
        return [
            record
            for dataset in folders
            for record in store.records(dataset)
            if record.hash.startswith(name)
        ]
    arm, seed = _seed_apart(name, 3)
    dataset, _, place = arm.partition("/")
    found = [
        record
        for record in store.records(dataset)
        if f"{record.cell.version_label}/{record.cell.mode}" == place
        and not record.cell.repeat
        and seed in (None, record.cell.seed)
    ]
    return _first_seed(found) if seed is None else found


def _first_seed(found: list[CellRecord]) -> list[CellRecord]:
    """Return the finished cells of the first seed, or all failed cells if none is finished."""
    done = [record for record in found if record.status == "done"]
    found = done or found[:1]
    first = min((record.cell.seed for record in found), default=0)
    return [record for record in found if record.cell.seed == first]


def _seed_apart(name: str, parts: int) -> tuple[str, int | None]:
    """Return an arm, and the seed if the name has one more part that is a number."""
    arm, slash, seed = name.rpartition("/")
    if slash and name.count("/") == parts and seed.isdecimal():
        return arm, int(seed)
    return name, None


def _traces(workspace: Workspace) -> Iterator[Path]:
    return iter(sorted(workspace.results.glob("*/*/*/*.trace")))
