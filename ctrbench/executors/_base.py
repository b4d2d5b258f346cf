"""The contract of an executor, and what all executors share: limits, and one retry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

Progress = Callable[[float], None]  # receives the completed share of a task
Work = Callable[[Any, Path, Progress], Any]  # (message, home, progress) -> result
Admission = Literal["start", "wait", "drop"]
TRIES = 2  # processes that a task may lose, one after the other


@dataclass(frozen=True)
class Task:
    """One unit of work, and what it requires of a machine."""

    message: Any  # picklable; the first argument of the work
    gpus: int = 0
    memory_bytes: int = 0  # expected


@dataclass(frozen=True)
class Program:
    """What runs for every task.

    Attributes:
        work: A module-level function, called with the message of a task, the folder `home` and a
            function that receives the completed share. Its result can be pickled.
        home: The folder that the work reads.
        inputs: Files or folders below `home` that suffice for the work, relative to it.
        preload: Modules to import before the first task starts.
    """

    work: Work
    home: Path
    inputs: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Limits of one task; None: no limit."""

    seconds: float | None = None
    bytes: int | None = None  # memory of its process, without memory-mapped files


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Event:
    """A change of a task's state.

    `value` is the completed share ("progress"), the result ("done"), or why the process of the task
    ended: the task starts again ("retried") or is given up ("died"). A dropped task never started.
    """

    kind: Literal["progress", "done", "retried", "died", "dropped"]
    task: Task
    value: Any = None


@dataclass(frozen=True)
class Executor(ABC):
    """Where tasks run; every public file of this folder defines one.

    Attributes:
        jobs: Number of tasks that run at once, at least 1; None: the executor chooses it.
        limits: Limits of each task.
    """

    jobs: int | None = None
    limits: Limits = NO_LIMITS
    apart: ClassVar[bool]  # whether tasks run where they cannot lock and write files of `home`

    @abstractmethod
    def memory_bytes(self) -> int | None:
        """Return the memory that one task may use; None: that of this machine."""

    def prepare(self, preload: tuple[str, ...]) -> None:
        """Begin to import modules in the background, so that the first task starts sooner.

        Args:
            preload: Those of the program that will run.
        """
        return

    @abstractmethod
    def run(
        self, tasks: Iterable[Task], program: Program, admit: Callable[[Task], Admission]
    ) -> Generator[Event, None, None]:
        """Run every task in its own process and yield events.

        A task whose process is killed starts once more in another process; other tasks continue.
        A task that exceeds a limit is stopped and does not start again.

        Args:
            tasks: The tasks, started in this order.
            program: What runs for each of them.
            admit: Decides before a task starts. A task that must wait is asked about again later.

        Raises:
            CtrBenchError: The work raised it. All running processes are ended.
        """


@dataclass
class Try:
    """A task that runs for the first or second time."""

    task: Task
    number: int = 1


class Waiting:
    """The tasks that have not started yet, or start again.

    Args:
        tasks: The tasks, in order.
        admit: See `Executor.run`.
    """

    def __init__(self, tasks: Iterable[Task], admit: Callable[[Task], Admission]) -> None:
        self._tries, self._admit = deque(map(Try, tasks)), admit
        self.dropped: list[Event] = []

    def __bool__(self) -> bool:
        return bool(self._tries)

    def next(self) -> Try | None:
        """Return the first task that may start now, if any; collects the dropped ones."""
        for _ in range(len(self._tries)):
            one = self._tries.popleft()
            admission = self._admit(one.task)
            if admission == "start":
                return one
            if admission == "drop":
                self.dropped.append(Event("dropped", one.task))
            else:
                self._tries.append(one)
        return None

    def take_dropped(self) -> list[Event]:
        """Return the events of tasks that were dropped since the last call."""
        found, self.dropped = self.dropped, []
        return found

    def again(self, one: Try) -> None:
        """Let a task start again, through no fault of its process."""
        self._tries.appendleft(one)

    def lost(self, one: Try, reason: str) -> Event:
        """Return the event of a task whose process ended; lets the task start once more.

        Args:
            one: The task.
            reason: Why its process ended.
        """
        if one.number >= TRIES:
            return Event("died", one.task, f"{reason}; it was tried {TRIES} times")
        self.again(Try(one.task, one.number + 1))
        return Event("retried", one.task, reason)
