"""Send the cells and the table of a run to experiment trackers, which never fail the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ctrbench.analysis.table import ComparisonTable
from ctrbench.errors import ConfigError
from ctrbench.identity import hash_json
from ctrbench.reports import render
from ctrbench.runner.run import Observer
from ctrbench.schema import Cell, CellRecord
from ctrbench.trackers import TrackedRun, Tracker, load
from ctrbench.workspace import Workspace

TABLES = {"table.md": "markdown", "table.csv": "csv", "table.json": "json"}  # file -> format


class Tracking:
    """The trackers of one command. A tracker that fails is turned off with one warning."""

    def __init__(
        self, workspace: Workspace, names: Sequence[str], project: str, warn: Callable[[str], None]
    ) -> None:
        """Check and start the trackers.

        Args:
            workspace: Its folder tracking/ holds the local files of trackers.
            names: Names of trackers.
            project: The group of all runs: the name of the benchmark file.
            warn: Receives the warning on a tracker that fails.

        Raises:
            ConfigError: The package of a tracker is not installed, or a name is repeated.
            UnknownNameError: No tracker has a name.
        """
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ConfigError(f"tracker {', '.join(repeated)} is named twice; name it once.")
        self._warn = warn
        self._trackers = {name: load(name, workspace.tracking / name, project) for name in names}
        for name, tracker in list(self._trackers.items()):
            self._try(name, tracker.start)

    def observing(self, observer: Observer) -> Observer:
        """Return an observer of a run that also tracks every finished cell."""
        return _Tracked(self, observer)

    def cell(self, record: CellRecord) -> None:
        """Send a cell to every tracker that does not have it."""
        if self._trackers:
            self._log(_run_of(record))

    def finish(self, records: Mapping[str, CellRecord], table: ComparisonTable) -> None:
        """Send the cells that were stored before, and the table.

        Args:
            records: The records of the matrix, by cell hash.
            table: Its table.
        """
        if not self._trackers:
            return
        for record in records.values():
            self.cell(record)
        files = {name: render(table, format) for name, format in TABLES.items()}
        key = f"table-{hash_json(files)}"
        settings = {"dataset": table.dataset, "seeds": ", ".join(map(str, table.seeds))}
        self._log(TrackedRun(key, f"table of {table.dataset}", settings, files=files))

    def _log(self, run: TrackedRun) -> None:
        def send(tracker: Tracker) -> None:
            if not tracker.has(run.key):
                tracker.log(run)

        for name, tracker in list(self._trackers.items()):
            self._try(name, lambda tracker=tracker: send(tracker))

    def _try(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a tracker is not part of the result, so the run continues
            del self._trackers[name]
            reason = " ".join(str(error).split())[:500].rstrip(".") or "no reason given"
            self._warn(
                f"tracker {name} is turned off, and the run continues without it. "
                f"{type(error).__name__}: {reason}. Run the command again with "
                f"--track {name} to send what is missing."
            )


class _Tracked:
    """Passes everything to another observer, and finished cells to trackers."""

    def __init__(self, tracking: Tracking, observer: Observer) -> None:
        self._tracking, self._observer = tracking, observer

    def begin(self, what: str, cells: int, missing: int, impressions: int) -> None:
        """See `Observer`."""
        self._observer.begin(what, cells, missing, impressions)

    def progress(self, cell: Cell, share: float) -> None:
        """See `Observer`."""
        self._observer.progress(cell, share)

    def retried(self, cell: Cell, reason: str) -> None:
        """See `Observer`."""
        self._observer.retried(cell, reason)

    def finished(self, record: CellRecord) -> None:
        """See `Observer`."""
        self._observer.finished(record)
        self._tracking.cell(record)


def _run_of(record: CellRecord) -> TrackedRun:
    """Return a cell as a run, with all settings and numbers of its record."""
    cell = record.cell
    settings: dict[str, Any] = {
        "dataset": cell.dataset,
        "version": cell.version_label,
        "mode": cell.mode,
        "seed": cell.seed,
        "status": record.status,
        **{
            f"{part}.{key}": one
            for part, own in record.settings.items()
            for key, one in own.items()
        },
        **{f"environment.{key}": value for key, value in record.environment.items()},
    }
    if record.status == "failed":
        settings["reason"] = record.reason
    numbers: dict[str, float | None] = {
        **{
            f"{key}/{name}": one
            for key, own in record.metrics.items()
            for name, one in own.values.items()
        },
        **{
            f"slice/{key}/{name}": one
            for key, own in record.slices.items()
            for name, one in own.values.items()
        },
        **{f"facts/{name}": value for name, value in record.facts.items()},
        **{f"seconds/{stage}": value for stage, value in record.seconds.items()},
        "peak_memory_bytes": record.peak_memory_bytes,
        "parameters": record.parameters,
    }
    return TrackedRun(
        key=record.hash if record.status == "done" else f"{record.hash}-failed",
        name=cell.label,
        settings={name: _plain(value) for name, value in settings.items()},
        metrics={name: value for name, value in numbers.items() if value is not None},
        curve=record.curve,
        failed=record.status == "failed",
    )


def _plain(value: Any) -> str | int | float | bool:
    """Return a number, a truth value or a text; anything else as JSON."""
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)
