"""What the matrix commands show: plans, progress, states, tables."""

from __future__ import annotations

import statistics
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.models import load_loops
from ctrbench.plan import Matrix
from ctrbench.runner import changed_modes, missing_cells, stored_records
from ctrbench.runner.memory import largest_bytes, machine_bytes, require_memory
from ctrbench.runner.sequential import Outcome
from ctrbench.runner.tune import Tuning
from ctrbench.schema import Cell, CellRecord
from ctrbench.store import Store
from ctrbench.workspace import Workspace

# Before anything is stored, from the default model on one core of a 2.25 GHz server processor:
FIRST_GUESS_ROWS_PER_S = 25_000  # impressions trained or predicted


def print_states(outcome: Outcome, effect: float) -> None:
    """How each comparison of a sequential run ended."""
    seeds = outcome.matrix.file.seeds
    console = Console()
    told = f"After {len(seeds)} seeds, judged at most {outcome.looks} times, for an effect of "
    console.print(f"{told}{100 * effect:g} pp:", highlight=False)
    margin = outcome.matrix.file.margin
    for comparison, state in outcome.states.items():
        told = f"no worse by more than {margin}" if state == "no worse" else state
        console.print(
            f"- {comparison.title}: {told}", highlight=False, markup=False, soft_wrap=True
        )
    console.print(
        "The looks are paid for in these intervals. `ctrbench tables` judges the seeds that the "
        "file names; adding these to it and judging again would not pay for them.",
        highlight=False,
        soft_wrap=True,
    )


def print_plan(workspace: Workspace, matrix: Matrix, jobs: int) -> None:
    """Cells by row and column, and what training the missing ones will take."""
    cells = list(matrix.cells())
    records = stored_records(workspace, cells)
    missing = missing_cells(workspace, cells)
    console = Console()
    console.print(_cells_table(matrix, records))
    console.print(
        f"{len(cells)} cells: {len(cells) - len(missing)} stored, {len(missing)} to train.",
        highlight=False,
    )
    print_findings(matrix)
    print_changed_modes(matrix, records)
    print_zero_vectors(matrix)
    if missing:
        print_missing_loops()
        seconds, source = _expected_seconds(workspace, matrix, records)
        total = len(missing) * seconds / min(jobs, len(missing))
        each = _expected_bytes(workspace, missing, records)
        memory = min(jobs, len(missing)) * each
        console.print(
            f"About {_duration(total)} with {jobs} job(s) ({seconds:.0f} s a cell, {source}) "
            f"and {memory / 1e9:.1f} GB of memory.",
            highlight=False,
        )
        _print_lack_of_memory(memory, each)
        require_memory(workspace, missing)


def _print_lack_of_memory(together: float, each: float) -> None:
    """Say on stderr if so many jobs at once take more memory than there is."""
    available = machine_bytes()
    if each <= available < together:
        text = (
            f"That is more than the {available / 1e9:.1f} GB there are, and the system ends "
            f"processes that ask for more: give --jobs {available // int(each)}."
        )
        Console(stderr=True).print(text, highlight=False)


def print_missing_loops() -> None:
    """Say on stderr if cells will train without the compiled loops."""
    if load_loops() is None:
        text = (
            "The compiled loops are not there: cells train several times slower, to the same "
            "results but for last digits. Install a C compiler, then ctrbench once more."
        )
        Console(stderr=True).print(text, highlight=False)


def print_findings(matrix: Matrix) -> None:
    """Repeat on stderr the faults that import found in the data set."""
    for finding in matrix.dataset.findings:
        text = f"data set {matrix.dataset.name}: {finding}"
        Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def print_changed_modes(matrix: Matrix, records: dict[str, CellRecord]) -> None:
    """Say on stderr which modes were edited since stored cells of theirs were trained."""
    for mode, cells in changed_modes(matrix, records).items():
        text = (
            f"{mode}: its file was changed since {cells} stored cell(s) were trained. If that "
            "changes its results, raise its `revision`, and they are trained anew."
        )
        Console(stderr=True).print(text, highlight=False, markup=False)


def print_zero_vectors(matrix: Matrix) -> None:
    """Say on stderr which versions were given vectors without a direction."""
    for name, manifest in matrix.versions.items():
        if manifest.zero_vectors:
            text = (
                f"{name}: {manifest.zero_vectors:,} vectors are zero; these items count as items "
                "without a vector."
            )
            Console(stderr=True).print(text, highlight=False, markup=False)


def print_status(workspace: Workspace, matrix: Matrix) -> None:
    """How far the matrix is, and why cells failed."""
    cells = list(matrix.cells())
    records = stored_records(workspace, cells)
    counts = Counter(record.status for record in records.values())
    console = Console()
    console.print(_cells_table(matrix, records))
    console.print(
        f"{len(cells)} cells: {counts['done']} done, {counts['failed']} failed, "
        f"{len(cells) - len(records)} missing.",
        highlight=False,
    )
    for record in records.values():
        if record.status == "failed":
            text = f"failed: {record.cell.label}: {record.reason}"
            console.print(text, highlight=False, markup=False)
    if counts["failed"]:
        console.print("Train them again with `ctrbench run FILE --retry-failed`.")


def print_tuning(tuning: Tuning, matrix: Matrix) -> None:
    """Every trial, best first within its kind, and the choice as lines of a benchmark file."""
    table = Table("for", "settings", f"{find(matrix.file.headline).title} on valid", "cells")
    for trial in sorted(
        tuning.trials, key=lambda trial: (trial.what != "baseline", trial.what, -(trial.valid or 0))
    ):
        settings = ", ".join(f"{key} {value}" for key, value in trial.settings.items())
        valid = "failed" if trial.valid is None else f"{trial.valid:.5f}"
        table.add_row(trial.what, settings, valid, str(trial.cells))
    console = Console()
    console.print(table)
    console.print("Chosen on valid; put this into the file, or let --write do it:")
    lines = ["training:", *(f"  {key}: {value}" for key, value in tuning.training.items())]
    if tuning.factors:
        lines += ["modes:"]
        lines += [f"  {mode}: {{learning_rate_factor: {f}}}" for mode, f in tuning.factors.items()]
    console.print("\n".join(lines), highlight=False, markup=False)


class RunDisplay:
    """Progress of a run: a bar with the time left on a terminal, a line a cell elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._total = self._done = 0
        self._shares: dict[str, float] = {}
        self._task = self._progress.add_task("training", total=None)

    def __enter__(self) -> RunDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, what: str, cells: int, missing: int) -> None:
        """Say what comes, and let the bar reach for it as well."""
        self._total += missing
        self._progress.update(self._task, total=self._total)
        self._say(f"{what}: {cells - missing} cells stored, {missing} to train.")

    def progress(self, cell: Cell, share: float) -> None:
        """Move the bar by parts of cells, so that the time left is right from the start."""
        self._shares[cell.hash] = share
        self._progress.update(self._task, completed=self._done + sum(self._shares.values()))

    def finished(self, record: CellRecord) -> None:
        """Count the cell, and say how it ended."""
        self._shares.pop(record.hash, None)
        self._done += 1
        self._progress.update(self._task, completed=self._done + sum(self._shares.values()))
        count = f"[{self._done}/{self._total}]"
        if record.status == "failed":
            self._say(f"{count} {record.cell.label}: failed: {record.reason.splitlines()[0]}")
        elif not self._console.is_terminal:
            seconds = sum(record.seconds.values())
            self._say(f"{count} {record.cell.label}: {seconds:.1f} s")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _cells_table(matrix: Matrix, records: dict[str, CellRecord]) -> Table:
    """Cells done of all seeds, by row and column; failed ones beside."""
    table = Table()
    table.add_column("version", no_wrap=True)
    for column in matrix.columns:
        table.add_column(column.label, overflow="fold")
    seeds = matrix.file.seeds

    def state(cells: list[Cell]) -> str:
        found = Counter(records[c.hash].status for c in cells if c.hash in records)
        failed = f", {found['failed']} failed" if found["failed"] else ""
        return f"{found['done']}/{len(cells)}{failed}"

    for row in (None, *matrix.rows):
        states = [state([matrix.cell(row, c, seed) for seed in seeds]) for c in matrix.columns]
        table.add_row(row.label if row else BASELINE, *states)
    return table


def _expected_seconds(
    workspace: Workspace, matrix: Matrix, records: dict[str, CellRecord]
) -> tuple[float, str]:
    """Seconds of a cell, and where the number comes from."""
    done = [record for record in records.values() if record.status == "done"]
    if not done:
        same = Store(workspace).records(matrix.dataset.name)
        done = [record for record in same if record.status == "done"]
    if done:
        return statistics.median(sum(r.seconds.values()) for r in done), "as stored cells took"
    periods = matrix.dataset.periods
    rows = {name: stop - start for name, (start, stop) in periods.items()}
    epochs = statistics.fmean(training.epochs for training in matrix.file.training)
    passes = epochs * rows.get("train", 0)
    measured = rows.get("valid", 0) + rows.get("test", 0)
    return (passes + measured / 3) / FIRST_GUESS_ROWS_PER_S + 1, "a first guess"


def _expected_bytes(
    workspace: Workspace, missing: list[Cell], records: dict[str, CellRecord]
) -> float:
    """Memory of one process: as stored cells took, if they took more than is sure beforehand."""
    peaks = [record.peak_memory_bytes for record in records.values() if record.status == "done"]
    return max(*peaks, largest_bytes(workspace, missing), 1)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
