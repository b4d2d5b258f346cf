"""Run each task in its own local process, so that a crash affects no other task."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Literal

from ctrbench.errors import CtrBenchError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, NEVER = -1, -3, 2**31 - 1  # of mallopt(3)
LARGE_BLOCK = 1 << 20  # bytes
POLL_S = 0.5  # interval at which tasks held by another run are checked again

Work = Callable[[Any, Callable[[float], None]], Any]  # (task, progress) -> result


@dataclass(frozen=True)
class Event:
    """A change of a task's state."""

    kind: Literal["progress", "done", "died"]
    task: Any
    value: Any  # the completed share, the result, or why the process died


@dataclass
class _Running:
    task: Any
    process: Any


def run_tasks(
    tasks: Iterable[Any], work: Work, jobs: int, free: Callable[[Any], bool], preload: list[str]
) -> Iterator[Event]:
    """Run every task in its own process, `jobs` at once, and yield events.

    Args:
        tasks: Picklable tasks, started in this order.
        work: A module-level function that runs one task.
        jobs: Number of concurrent processes, at least 1.
        free: Returns whether a task may start now; a task that may not is checked again later.
        preload: Modules to import once, before the processes are forked.

    Raises:
        CtrBenchError: `work` raised it; all running processes are terminated.
    """
    waiting, running = deque(tasks), dict[Connection, _Running]()
    if not waiting:
        return
    context = start_server(preload)
    try:
        while waiting or running:
            while len(running) < jobs and (task := _next_free(waiting, free)) is not None:
                receive, send = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(work, task, send), daemon=True)
                with _without_main():
                    process.start()
                send.close()
                running[receive] = _Running(task, process)
            for connection in wait(list(running), POLL_S) if running else _pause():
                assert isinstance(connection, Connection)
                yield from _receive(connection, running)
    finally:
        for entry in running.values():
            entry.process.terminate()
        for entry in running.values():
            entry.process.join()


def run_here(
    tasks: Iterable[Any], work: Work, progressed: Callable[[Any, float], None]
) -> Iterator[Event]:
    """Run one task after the other in this process, and yield an event for each.

    Args:
        tasks: The tasks.
        work: Runs one task.
        progressed: Receives a task and the completed share of its work.
    """
    for task in tasks:
        yield Event("done", task, work(task, partial(progressed, task)))


def start_server(preload: list[str]) -> Any:
    """Start the server that imports heavy libraries once and forks each process in milliseconds.

    A second call returns the same server.

    Args:
        preload: Modules to import.

    Returns:
        The context that creates processes. Where forking is unavailable, it spawns them.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    _start_ignoring_interrupts()
    atexit.register(_stop_server)
    return context


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module from processes that start, which would otherwise import it again.

    A script without `if __name__ == "__main__"` would then run again in every process.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_ignoring_interrupts() -> None:
    """Start the fork server so that it and its children ignore SIGINT.

    A terminal sends Ctrl-C to all processes, and this process terminates the children. A child
    inherits the signals that its parent ignores.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may set signal handlers
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)


def _stop_server() -> None:
    """Terminate the fork server, which would otherwise keep the stdout of this command open."""
    server: Any = getattr(forkserver, "_forkserver", None)  # the standard library has no other way
    pid = getattr(server, "_forkserver_pid", None)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    server._stop()


def _next_free(waiting: deque[Any], free: Callable[[Any], bool]) -> Any | None:
    for _ in range(len(waiting)):
        task = waiting.popleft()
        if free(task):
            return task
        waiting.append(task)
    return None


def _pause() -> list[Connection]:
    threading.Event().wait(POLL_S)
    return []


def _receive(connection: Connection, running: dict[Connection, _Running]) -> Iterator[Event]:
    entry = running[connection]
    try:
        kind, value = connection.recv()
    except (EOFError, OSError):  # a process that is killed while it sends leaves a partial message
        entry.process.join()
        del running[connection]
        yield Event("died", entry.task, _cause_of_death(entry.process.exitcode))
        return
    if kind == "progress":
        yield Event("progress", entry.task, value)
        return
    entry.process.join()
    del running[connection]
    connection.close()
    if kind == "error":
        raise CtrBenchError(value)
    yield Event("done", entry.task, value)


def _cause_of_death(exitcode: int) -> str:
    if exitcode == -9:
        return "its process was killed (signal 9); the most frequent cause is a lack of memory"
    how = f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
    return f"its process ended unexpectedly ({how})"


def _child(work: Work, task: Any, send: Connection) -> None:
    """Run one task within a process; exit if the parent dies."""
    keep_freed_memory()
    _end_with_parent()
    try:
        result = work(task, lambda share: send.send(("progress", share)))
    except CtrBenchError as error:
        send.send(("error", str(error)))
        return
    except KeyboardInterrupt:
        return
    send.send(("done", result))


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory, which saves 15 % of the time of a cell.

    Every batch allocates and frees the same large blocks. Returning them causes page faults.
    """
    _set_allocator(map_from=NEVER, trim_from=NEVER)


def return_freed_memory() -> None:
    """Make glibc return large freed blocks to the system at once.

    If batches differ in size, reused blocks fragment the heap: pre-training on pictures took four
    times the memory, for 6 % less time.
    """
    _set_allocator(map_from=LARGE_BLOCK, trim_from=128 * LARGE_BLOCK)


def _set_allocator(map_from: int, trim_from: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, map_from)
        libc.mallopt(M_TRIM_THRESHOLD, trim_from)


def _end_with_parent() -> None:
    """Exit when the parent dies, so that a killed run leaves no orphan process."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
