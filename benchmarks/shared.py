"""Shared parts of the studies: arguments, commands, trained cells, tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ctrbench.plan import Column, Matrix, Row
from ctrbench.runner import missing_cells, run_cells, stored_records
from ctrbench.schema import Cell, CellRecord, Trace
from ctrbench.store import Store
from ctrbench.workspace import Workspace

TABLES = Path(__file__).resolve().parents[1] / "results" / "tables"


def add_studies(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the argument `studies`, which repeats a group of words such as HOME FILE.

    Args:
        parser: The parser of the command.
        names: The words of one group, in capitals.
    """
    parser.add_argument("studies", nargs="+", metavar=" ".join(names), help="one or more groups")


def studies(
    parser: argparse.ArgumentParser, words: Sequence[str], *names: str
) -> list[tuple[str, ...]]:
    """Return the groups of words of the argument `studies`.

    Exits with a usage message if the last group is incomplete.

    Args:
        parser: The parser of the command.
        words: The given words.
        names: The words of one group, as in `add_studies`.
    """
    size = len(names)
    if len(words) % size:
        parser.error(f"each study requires {' '.join(names)}")
    return [tuple(words[start : start + size]) for start in range(0, len(words), size)]


def ctrbench(home: Path | str, *words: object) -> list[str]:
    """Return a command of ctrbench.

    Args:
        home: The workspace.
        words: The subcommand and its arguments.
    """
    return [sys.executable, "-m", "ctrbench", "--home", str(home), *map(str, words)]


def data_synth(home: Path | str, **options: object) -> list[str]:
    """Return the command that makes a world without pictures, unless `pictures` is given.

    Args:
        home: The workspace of the world.
        options: Options of `python -m data_synth`, without the dashes.
    """
    words = [f"--{name}={value}" for name, value in ({"pictures": 0} | options).items()]
    return [sys.executable, "-m", "data_synth", "--out", str(home), *words]


class FinishedCells:
    """An observer of a run that prints one line per finished cell."""

    def begin(self, what: str, cells: int, missing: int, impressions: int) -> None:
        """Print the number of cells to train.

        Args:
            what: The name of the run.
            cells: The number of cells.
            missing: The number of cells that have no record.
            impressions: The number of training impressions of the missing cells.
        """
        print(f"{what}: {missing} of {cells} cells to train", flush=True)

    def progress(self, cell: Cell, share: float) -> None:
        """Ignore the progress of a cell.

        Args:
            cell: The cell.
            share: The completed share, from 0 to 1.
        """

    def retried(self, cell: Cell, reason: str) -> None:
        """Print why a cell is trained once more.

        Args:
            cell: The cell.
            reason: Why its process ended.
        """
        print(cell.label, cell.seed, "is trained once more:", reason, flush=True)

    def finished(self, record: CellRecord) -> None:
        """Print one line for a finished cell."""
        print(record.cell.label, record.cell.seed, record.status, flush=True)


def trained(workspace: Workspace, cells: list[Cell], what: str, jobs: int) -> dict[str, CellRecord]:
    """Train the cells that have no finished record and return all records by hash.

    Exits if a cell failed.

    Args:
        workspace: The workspace of the data set.
        cells: The cells.
        what: A name for the messages.
        jobs: The number of cells to train at once.
    """
    missing, observer = missing_cells(workspace, cells, True), FinishedCells()
    observer.begin(what, len(cells), len(missing), 0)
    run_cells(workspace, missing, (), jobs, observer, True)
    records = stored_records(workspace, cells)
    failed = [record for record in records.values() if record.status != "done"]
    if failed or len(records) < len({cell.hash for cell in cells}):
        reasons = "; ".join(f"{one.cell.label}: {one.reason}" for one in failed)
        sys.exit(f"{what}: some cells are not done. {reasons}")
    return records


def arm_records(
    store: Store, matrix: Matrix, row: Row | None, column: Column | None
) -> list[CellRecord]:
    """Return the records of one arm, one per seed.

    Exits if a cell is not done.

    Args:
        store: The results of the workspace.
        matrix: The checked matrix.
        row: The version; None for the baseline.
        column: The mode; None for the baseline.
    """
    found = []
    for seed in matrix.file.seeds:
        cell = matrix.cell(row, column, seed)
        record = store.read(cell)
        if record is None or record.status != "done":
            sys.exit(f"{cell.label}, seed {seed}: the cell is not done.")
        found.append(record)
    return found


def late_over_early(trace: Trace, part: str) -> float:
    """Return the gradient of a part over the last fifth of a trace, divided by that over the first.

    Args:
        trace: The trace.
        part: A block of the model; NaN if the model has none, or the trace is shorter than five.
    """
    gradients = [p.blocks[part].gradient for p in trace.points if part in p.blocks]
    fifth = len(trace.points) // 5
    if not gradients or not fifth:
        return float("nan")
    return float(np.mean(gradients[-fifth:]) / np.mean(gradients[:fifth]))


def markdown_row(places: Iterable[object]) -> str:
    """Return one row of a Markdown table, without the end of the line.

    >>> markdown_row(["vector", 3])
    '| vector | 3 |'
    """
    return f"| {' | '.join(map(str, places))} |"


def mean_and_error(values: Sequence[float] | np.ndarray, form: str = "+.2f") -> str:
    """Return the mean and its standard error.

    Args:
        values: (S,) float, one per seed; at least 2.
        form: The format of the mean; the standard error has no sign.

    >>> mean_and_error([1.0, 3.0])
    '+2.00 ± 1.00'
    """
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{float(np.mean(values)):{form}} ± {error:{form.replace('+', '')}}"


def write_table(name: str, text: str, folder: Path = TABLES) -> None:
    """Write a table and print it.

    Args:
        name: The file below the folder.
        text: The content.
        folder: The folder of the table.
    """
    path = folder / name
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    print(f"{text}\nwrote {path}")


def add_row(name: str, head: str, row: str, folder: Path = TABLES) -> None:
    """Append a row to a table, which is created if it does not exist.

    Args:
        name: The file below the folder.
        head: The first lines of a new table.
        row: The row, without the end of the line.
        folder: The folder of the table.
    """
    path = folder / name
    present = path.read_text(encoding="utf-8") if path.exists() else head
    path.write_text(f"{present}{row}\n", encoding="utf-8")
    print(row, flush=True)
