"""Run tasks in processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ctrbench.environment import usable_cores
from ctrbench.executors._base import Admission, Event, Executor, Program, Task
from ctrbench.executors._local import run_locally, start_server


@dataclass(frozen=True)
class Processes(Executor):
    """Processes of this machine; by default one per core."""

    apart: ClassVar[bool] = False

    def memory_bytes(self) -> int | None:
        """Return the limit of a task's memory, if any."""
        return self.limits.bytes

    def prepare(self, preload: tuple[str, ...]) -> None:
        """Start the server of processes; it imports while this process works."""
        start_server(preload)

    def run(
        self, tasks: Iterable[Task], program: Program, admit: Callable[[Task], Admission]
    ) -> Generator[Event, None, None]:
        """Run every task in its own process and yield events; see `Executor.run`."""
        return run_locally(tasks, program, admit, self.jobs or usable_cores(), self.limits)
