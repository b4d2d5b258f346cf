"""Progress of long work: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ctrbench.schema import Cell, CellRecord


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


@contextmanager
def pretraining(version: str) -> Iterator[Any]:
    """Show the steps of a pre-training: a bar on a terminal, else a line per tenth of the work."""
    if not sys.stderr.isatty():
        last = [-1]

        def line(done: int, total: int, loss: float) -> None:
            tenth = 10 * done // total
            if tenth > last[0]:
                last[0] = tenth
                typer.echo(f"{version}: step {done:,} of {total:,}, loss {loss:.4f}", err=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(version, total=None, loss=float("nan"))
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)
