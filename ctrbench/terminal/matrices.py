"""Plan, status, notices and tuning of a matrix on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ctrbench.analysis.answer import Answer
from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.printable import counted
from ctrbench.runner.memory import CellMemory, machine_bytes
from ctrbench.runner.sequential import Outcome
from ctrbench.runner.states import (
    CellState,
    Expected,
    MatrixStatus,
    Notices,
    PlaceState,
    RunPlan,
)
from ctrbench.runner.tune import Tuning
from ctrbench.schema import CellRecord
from ctrbench.terminal import _tables
from ctrbench.terminal.output import console, echo


def show_plan(plan: RunPlan) -> None:
    """Print the cells by row and column, and the expected time and memory."""
    found, out = plan.status, console()
    missing = plan.to_train
    out.print(
        f"{counted(found.cells, 'cell')}: {found.cells - missing} stored, {missing} to train.",
        highlight=False,
    )
    if plan.expected is not None:
        expected = plan.expected
        out.print(
            f"About {_duration(expected.seconds)} with {expected.jobs} job(s) "
            f"({expected.cell_seconds:.0f} s per cell, {expected.source}) and "
            f"{expected.bytes / 1e9:.1f} GB of memory.",
            highlight=False,
        )
        out.print(_parts(expected.memory), highlight=False)
    out.print(_places(found.places))


def _parts(memory: CellMemory) -> str:
    """Return the parts of the expected memory of a cell, which do not all exist at once."""
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in memory.parts.items())
    return f"The largest cell requires {memory.total / 1e9:.2f} GB: {parts}."


def show_status(found: MatrixStatus) -> None:
    """Print the counts of cells by state, running cells, and the reasons of failures."""
    out = console()
    out.print(
        f"{counted(found.cells, 'cell')}: {found.done} done, {found.failed} failed, "
        f"{found.missing} missing"
        + (f"; {len(found.running)} running now." if found.running else "."),
        highlight=False,
    )
    for cell in found.running:
        text = f"running: {cell.label}: {cell.share:.0%} after {_duration(cell.elapsed_s)}"
        out.print(text, highlight=False, markup=False)
    for failure in found.failures:
        text = f"failed: {failure.label}: {failure.reason}"
        out.print(text, highlight=False, markup=False)
    if found.failed:
        out.print("Train them again with `ctrbench run FILE --retry-failed`.")
    out.print(_places(found.places))


def show_cells(found: Sequence[CellState]) -> None:
    """Print a line per cell: hash, state, expected memory, name."""
    rows = [(one.hash, one.status, f"{one.memory_bytes / 1e9:.1f} GB", one.label) for one in found]
    headings = ("hash", "state", "memory", "cell")
    _tables.console().print(_tables.table(headings, rows, ("memory",)))


def show_record(record: CellRecord) -> bool:
    """Print the outcome of a cell; return whether it failed."""
    failed = record.status == "failed"
    outcome = f"failed: {record.reason}" if failed else f"{sum(record.seconds.values()):.1f} s"
    echo(f"{record.cell.label}: {outcome}", err=failed)
    return failed


def show_failed(found: MatrixStatus) -> bool:
    """Print on stderr how many cells failed, if any; return whether any did."""
    if found.failed:
        echo(
            f"{found.failed} cell(s) failed: `ctrbench status FILE` shows the reasons, "
            "`ctrbench run FILE --retry-failed` trains them again.",
            err=True,
        )
    return bool(found.failed)


def show_notices(found: Notices, training: bool = True) -> None:
    """Print on stderr the notices of a matrix.

    Args:
        found: The notices of the matrix.
        training: Whether cells are missing, so that slow loops matter.
    """
    show_findings(found.dataset, found.findings)
    for mode, cells in found.changed_modes.items():
        _warn(
            f"{mode}: its file has changed since {cells} stored cell(s) were trained. If the "
            "change affects results, raise its `revision`, so that these cells are trained again.",
        )
    for version, count in found.zero_vectors.items():
        _warn(
            f"{version}: {counted(count, 'vector is', 'vectors are')} zero; an item with such a "
            "vector counts as one without a vector."
        )
    if found.plain_loops and training:
        _warn(
            "The compiled loops are missing: training is several times slower, and results differ "
            "only in the last digits. Install a C compiler, then install ctrbench again."
        )


def show_findings(dataset: str, findings: Sequence[str]) -> None:
    """Print on stderr the problems that an import found.

    Args:
        dataset: The name of the data set.
        findings: One sentence per problem.
    """
    for finding in findings:
        text = f"data set {dataset}: {finding}"
        console(err=True).print(text, highlight=False, markup=False, soft_wrap=True)


def show_lack_of_memory(expected: Expected) -> None:
    """Print on stderr a warning if the jobs together exceed the memory of the machine."""
    available = machine_bytes()
    if expected.cell_bytes <= available < expected.bytes:
        _warn(
            f"This exceeds the {available / 1e9:.1f} GB of memory, so the system may kill "
            f"processes: use --jobs {available // int(expected.cell_bytes)}."
        )


def show_states(outcome: Outcome, answer: Answer) -> None:
    """Print the final state of each comparison of a sequential run.

    Args:
        outcome: The outcome of the run.
        answer: The answer of its table; `better` requires both deltas.
    """
    seeds, margin = outcome.matrix.file.seeds, outcome.matrix.file.margin
    out = console()
    heading = f"After {len(seeds)} seeds, with at most {outcome.looks} interim analyses, for "
    out.print(f"{heading}an effect of {100 * outcome.effect:g} pp:", highlight=False)
    for comparison, state in outcome.states.items():
        above = answer.above_zero(comparison.row, comparison.column, comparison.reference)
        names = {"no worse": f"no worse by more than {margin}", "better": above}
        name = names.get(state, state)
        out.print(f"- {comparison.title}: {name}", highlight=False, markup=False, soft_wrap=True)
    out.print(
        "These intervals are corrected for the interim analyses. `ctrbench tables` uses only the "
        "seeds of the file and does not correct for them; do not add these seeds to the file.",
        highlight=False,
        soft_wrap=True,
    )


def show_tuning(tuning: Tuning) -> None:
    """Print every trial, best first within its kind, and the choice as YAML."""
    table = Table("for", "settings", f"{find(tuning.headline).title} on valid", "cells")
    for trial in sorted(
        tuning.trials, key=lambda trial: (trial.what != "baseline", trial.what, -(trial.valid or 0))
    ):
        settings = ", ".join(f"{key} {value}" for key, value in trial.settings.items())
        valid = "failed" if trial.valid is None else f"{trial.valid:.5f}"
        table.add_row(trial.what, settings, valid, str(trial.cells))
    out = console()
    out.print(table)
    out.print("Chosen on valid; add this to the file, or use --write:")
    lines = ["training:", *(f"  {key}: {value}" for key, value in tuning.training.items())]
    if tuning.factors:
        lines += ["modes:"]
        lines += [f"  {mode}: {{learning_rate_factor: {f}}}" for mode, f in tuning.factors.items()]
    out.print("\n".join(lines), highlight=False, markup=False)


def _places(places: Sequence[PlaceState]) -> Table:
    """Return the numbers of finished and failed cells by row and column."""
    columns = list(dict.fromkeys(place.column for place in places))
    table = Table()
    table.add_column("version", no_wrap=True)
    for column in columns:
        table.add_column(column.label, overflow="fold")
    for row in dict.fromkeys(place.row for place in places):
        states = {
            place.column: f"{place.done}/{place.seeds}"
            + (f", {place.failed} failed" if place.failed else "")
            for place in places
            if place.row == row
        }
        cells = (states.get(column, "–") for column in columns)
        table.add_row(row.label if row else BASELINE, *cells)
    return table


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _warn(text: str) -> None:
    console(err=True).print(text, highlight=False, markup=False)
