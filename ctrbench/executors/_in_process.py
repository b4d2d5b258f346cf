"""Run tasks in this process, which alone has the classes that a notebook or a script defines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ctrbench.executors._base import Admission, Event, Executor, Program, Task


def _ignore(task: Task, share: float) -> None:
    pass


@dataclass(frozen=True)
class InProcess(Executor):
    """One task after the other in this process; limits do not apply.

    Attributes:
        progressed: Receives a task and the completed share of its work, during its work.
    """

    progressed: Callable[[Task, float], None] = _ignore
    apart: ClassVar[bool] = False

    def memory_bytes(self) -> int | None:
        """Return None: the memory of this machine decides."""

    def run(
        self, tasks: Iterable[Task], program: Program, admit: Callable[[Task], Admission]
    ) -> Generator[Event, None, None]:
        """Run every task and yield events; see `Executor.run`. The work itself may wait."""
        for task in tasks:
            if admit(task) == "drop":
                yield Event("dropped", task)
                continue
            progress = partial(self.progressed, task)
            yield Event("done", task, program.work(task.message, program.home, progress))
