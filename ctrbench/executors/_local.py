"""Run each task in its own process of this machine, so that a crash affects no other task."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.executors._base import (
    NO_LIMITS,
    Admission,
    Event,
    Limits,
    Program,
    Task,
    Try,
    Waiting,
    Work,
)
from ctrbench.executors._memory import keep_freed_memory, own_bytes

POLL_S = 0.5  # interval at which tasks held by another run are checked again
WATCH_S = 0.1  # interval at which limits are checked
SERVER = "ctrbench.executors._server"
SLOT = "CTRBENCH_SLOT"  # in the environment of a process: its number among those that run at once
STARTS = 3  # of a process, if its server is killed meanwhile


@dataclass
class _Running:
    one: Try
    process: Any
    slot: int  # the lowest number that no other running process has
    started: float = field(default_factory=time.monotonic)


def run_locally(
    tasks: Iterable[Task],
    program: Program,
    admit: Callable[[Task], Admission],
    jobs: int,
    limits: Limits,
) -> Generator[Event, None, None]:
    """Run every task in its own process of this machine and yield events.

    Args:
        tasks: The tasks, started in this order.
        program: What runs for each of them.
        admit: Decides before a task starts.
        jobs: Number of concurrent processes, at least 1.
        limits: Limits of each task.

    Raises:
        ConfigError: Memory is limited, but cannot be measured here.
        CtrBenchError: The work raised it. All running processes are ended.
    """
    if limits.bytes is not None and own_bytes(os.getpid()) is None:
        raise ConfigError("--max-memory requires Linux, where memory is measured; omit it.")
    waiting, running = Waiting(tasks, admit), dict[Connection, _Running]()
    interval = POLL_S if limits == NO_LIMITS else WATCH_S
    try:
        while waiting or running:
            while len(running) < jobs and (one := waiting.next()) is not None:
                slot = min(set(range(jobs)) - {entry.slot for entry in running.values()})
                receive, process = _start(program, one.task, slot)
                running[receive] = _Running(one, process, slot)
            yield from waiting.take_dropped()
            for connection in wait(list(running), interval) if running else _pause(waiting):
                assert isinstance(connection, Connection)
                yield from _receive(connection, running, waiting)
            yield from _stop_excessive(running, limits)
    finally:
        for entry in running.values():
            entry.process.terminate()
        for entry in running.values():
            entry.process.join()


def _stop_excessive(running: dict[Connection, _Running], limits: Limits) -> Iterator[Event]:
    """End the processes that exceed a limit."""
    for connection, entry in list(running.items()):
        reason = _excess(entry, limits)
        if reason is None:
            continue
        entry.process.kill()
        entry.process.join()
        del running[connection]
        connection.close()
        yield Event("died", entry.one.task, reason)


def _excess(entry: _Running, limits: Limits) -> str | None:
    """Return which limit a process exceeds, if any."""
    seconds = time.monotonic() - entry.started
    if limits.seconds is not None and seconds > limits.seconds:
        return (
            f"it was stopped after {seconds:,.1f} s; the limit is {limits.seconds:,g} s. Raise "
            "--max-time, then train it again with --retry-failed"
        )
    used = own_bytes(entry.process.pid) if limits.bytes is not None else None
    if used is not None and limits.bytes is not None and used > limits.bytes:
        return (
            f"it was stopped because it used {used / 1e9:,.2f} GB of memory; the limit is "
            f"{limits.bytes / 1e9:,.2f} GB. Raise --max-memory or lower batch_size, then train it "
            "again with --retry-failed"
        )
    return None


def start_server(preload: Iterable[str]) -> Any:
    """Start the server that imports heavy libraries once and forks each process in milliseconds.

    A further call returns the same server, or starts a new one if it was killed or has imported
    other modules. Processes of the earlier server continue.

    Args:
        preload: Modules to import.

    Returns:
        The context that creates processes. Where forking is unavailable, it spawns them.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context, modules = multiprocessing.get_context("forkserver"), [SERVER, *preload]
    if modules != getattr(_server(), "_preload_modules", modules):
        _stop_server()
    context.set_forkserver_preload(modules)
    _start_ignoring_interrupts()
    atexit.unregister(_stop_server)
    atexit.register(_stop_server)
    return context


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


def _server() -> Any:
    return getattr(forkserver, "_forkserver", None)  # the standard library has no other way


def _stop_server() -> None:
    """Terminate the fork server, which would otherwise keep the stdout of this command open."""
    server = _server()
    pid = getattr(server, "_forkserver_pid", None)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    server._stop()


def _start(program: Program, task: Task, slot: int) -> tuple[Connection, Any]:
    """Return a started process and the connection that receives its messages."""
    for left in reversed(range(STARTS)):
        context = start_server(program.preload)
        receive, send = context.Pipe(duplex=False)
        given = (program.work, task.message, program.home, send, slot)
        process = context.Process(target=_child, args=given, daemon=True)
        try:
            with _without_main():
                process.start()
        except (ConnectionError, EOFError):  # the server was killed at this moment
            if not left:
                raise
            _stop_server()  # it may still be about to end
            continue
        finally:
            send.close()
        return receive, process
    raise AssertionError("unreachable")


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the script that called ctrbench: a new process would import it, and needs nothing of it.

    The script may lack `if __name__ == "__main__":`, and its imports take time in every process.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _pause(waiting: Waiting) -> list[Connection]:
    if waiting:
        threading.Event().wait(POLL_S)
    return []


def _receive(
    connection: Connection, running: dict[Connection, _Running], waiting: Waiting
) -> Iterator[Event]:
    entry = running[connection]
    try:
        kind, value = connection.recv()
    except (EOFError, OSError):  # a process that is killed while it sends leaves a partial message
        kind, value = "lost", None
    if kind == "progress":
        yield Event("progress", entry.one.task, value)
        return
    entry.process.join()
    del running[connection]
    connection.close()
    if kind == "error":
        raise CtrBenchError(value)
    if kind == "lost":
        yield waiting.lost(entry.one, _cause_of_death(entry.process.exitcode))
    else:
        yield Event(kind, entry.one.task, value)


def _cause_of_death(exitcode: int) -> str:
    if exitcode == -9:
        return "its process was killed (signal 9); the most frequent cause is a lack of memory"
    how = f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
    return f"its process ended unexpectedly ({how})"


def _child(work: Work, message: Any, home: Path, send: Connection, slot: int) -> None:
    """Run one task within a process; exit if the parent dies."""
    os.environ[SLOT] = str(slot)
    keep_freed_memory()
    _end_with_parent()
    try:
        result = work(message, home, lambda share: send.send(("progress", share)))
    except CtrBenchError as error:
        send.send(("error", str(error)))
        return
    except KeyboardInterrupt:
        return
    except Exception as error:  # a bug, which a second process would repeat
        place = traceback.format_exc(limit=-3)
        send.send(("died", f"{type(error).__name__}: {error}\n{place}"))
        return
    send.send(("done", result))


def _end_with_parent() -> None:
    """Exit when the parent dies, so that a killed run leaves no orphan process."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
