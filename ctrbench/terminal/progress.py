"""Progress of long work: a bar on a terminal, otherwise lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from ctrbench.errors import first_line
from ctrbench.metrics import judged
from ctrbench.printable import counted
from ctrbench.schema import Cell, CellRecord
from ctrbench.terminal.output import animates, console, echo


class _State(ProgressColumn):
    """Cells done, running and left, and the speed of all processes together."""

    def render(self, task: Task) -> Text:
        """Return the state of the run as text."""
        done, running = task.fields["done"], task.fields["running"]
        parts = [f"{done} done, {running} running, {(task.total or 0) - done - running:.0f} left"]
        if task.speed is not None and not task.finished:
            speed = task.speed * task.fields["impressions_per_cell"]
            parts.append(f"{speed:,.0f} impressions/s")
        return Text("; ".join(parts))


class RunDisplay:
    """Progress of a run: a bar with the time left on a terminal, otherwise a line per cell.

    Args:
        detail: True: a line per cell with the seconds of every stage, also on a terminal. False:
            no output. None: the default.
    """

    def __init__(self, detail: bool | None = None) -> None:
        self._console, self._detail = console(err=True), detail
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            _State(Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=self._console,
            expand=True,
            disable=detail is False or not animates(self._console),
        )
        self._total = self._done = self._impressions = 0
        self._shares: dict[str, float] = {}  # of running cells, by cell hash
        self._task = self._progress.add_task(
            "training", total=None, done=0, running=0, impressions_per_cell=0.0
        )

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

    def begin(self, what: str, cells: int, missing: int, impressions: int) -> None:
        """Print the number of cells, and extend the bar.

        Args:
            what: Display name of the cells.
            cells: Number of cells.
            missing: Number of cells to train.
            impressions: Number of training impressions of the missing cells.
        """
        self._total += missing
        self._impressions += impressions
        self._update()
        self._print(f"{what}: {counted(cells - missing, 'cell')} stored, {missing} to train.")

    def progress(self, cell: Cell, share: float) -> None:
        """Move the bar by a fraction of a cell, so that the time left is accurate early.

        Args:
            cell: The running cell.
            share: The finished share of its work, in [0, 1].
        """
        self._shares[cell.hash] = share
        self._update()

    def retried(self, cell: Cell, reason: str) -> None:
        """Print that a cell is trained once more.

        Args:
            cell: The cell.
            reason: Why its process ended.
        """
        self._shares.pop(cell.hash, None)
        self._update()
        self._print(f"{cell.label}: {reason}; it is trained once more.")

    def finished(self, record: CellRecord) -> None:
        """Count a finished cell, and print its result."""
        self._shares.pop(record.hash, None)
        self._done += 1
        self._update()
        count = f"[{self._done}/{self._total}] {record.cell.label}:"
        if record.status == "failed":
            reason = record.reason if self._detail else first_line(record.reason)
            self._print(f"{count} failed: {reason}")
        elif self._detail:
            self._print(f"{count} {_detailed(record)}")
        elif not animates(self._console):
            self._print(f"{count} {sum(record.seconds.values()):.1f} s")

    def _update(self) -> None:
        self._progress.update(
            self._task,
            total=self._total,
            completed=self._done + sum(self._shares.values()),
            done=self._done,
            running=len(self._shares),
            impressions_per_cell=self._impressions / max(self._total, 1),
        )

    def _print(self, text: str) -> None:
        if self._detail is not False:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _detailed(record: CellRecord) -> str:
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in record.seconds.items())
    values = ", ".join(
        f"{metric.title} {value:.4f}"
        for metric in judged()
        if (value := record.metrics["test"].value(metric.name)) is not None
    )
    memory = f"{(record.peak_memory_bytes or 0) / 1e6:,.0f} MB"
    return f"{sum(record.seconds.values()):.1f} s ({stages}), {memory}, {values}"


@contextmanager
def pretraining(version: str, detail: bool | None = None) -> Iterator[Any]:
    """Show the steps of a pre-training: a bar on a terminal, else a line per tenth of the work.

    Args:
        version: The name of the new version.
        detail: True: lines, also on a terminal. False: no output. None: the default.
    """
    if detail is False:
        yield lambda done, total, loss: None
        return
    if detail or not sys.stderr.isatty():
        last = [-1]

        def line(done: int, total: int, loss: float) -> None:
            tenth = 10 * done // total
            if tenth > last[0]:
                last[0] = tenth
                echo(f"{version}: step {done:,} of {total:,}, loss {loss:.4f}", err=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(err=True)) as bar:
        task = bar.add_task(version, total=None, loss=float("nan"))
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)
