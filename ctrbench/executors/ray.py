"""Run tasks on the nodes of a Ray cluster, each in its own process."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from ctrbench.atomic import atomic_folder
from ctrbench.errors import ConfigError, CtrBenchError, StoreError, first_line
from ctrbench.executors._base import (
    Admission,
    Event,
    Executor,
    Limits,
    Program,
    Task,
    Try,
    Waiting,
)
from ctrbench.executors._local import run_locally
from ctrbench.identity import hash_json
from ctrbench.locks import lock

POLL_S = 0.5  # interval at which tasks held by another run are checked again
PROGRESS_S = 0.5  # between two messages about the progress of a task
QUEUED = 2  # tasks per CPU of the cluster: the surplus keeps nodes busy and lets a cluster grow
CHUNK_BYTES = 1 << 26  # of one object in the object store
CONNECT_S = 10.0  # until a machine must answer
ENDED = "its process or node was lost"


@dataclass(frozen=True)
class Ray(Executor):
    """The nodes of a Ray cluster.

    A worker of Ray starts a process for each task on its node, with the same limits as locally. If
    a node reads `home` from a shared file system, its tasks use it. Else the inputs are copied to
    the node once, through the object store, and all its tasks map that copy.

    Attributes:
        address: The address of the cluster. None: as Ray chooses, from RAY_ADDRESS, a cluster that
            runs on this machine, or a new one.
        gpu_share: The share of a GPU that a task requests if it uses one.

    Raises:
        ConfigError: The share is not above 0 and at most 1.
    """

    address: str | None = None
    gpu_share: float = 1.0
    apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.gpu_share <= 1:
            raise ConfigError(f"--gpu-share is {self.gpu_share:g}; give a share such as 0.25.")

    def memory_bytes(self) -> int | None:
        """Return the limit of a task's memory, at most the memory of the largest node."""
        largest = max(int(node.get("memory", 0)) for node in _nodes(self._connected()))
        return min(largest, self.limits.bytes or largest)

    def run(
        self, tasks: Iterable[Task], program: Program, admit: Callable[[Task], Admission]
    ) -> Generator[Event, None, None]:
        """Run every task in its own process and yield events; see `Executor.run`.

        Raises:
            ConfigError: Ray is not installed or not reachable, or no node can run a task.
            CtrBenchError: The work raised it. All running processes are ended.
        """
        ray, tasks = self._connected(), list(tasks)
        _require_gpus(ray, tasks)
        waiting, running = Waiting(tasks, admit), dict[Any, Try]()
        program = replace(program, home=program.home.resolve())
        copies: _Copies | None = None
        start = ray.remote(max_retries=0, num_returns="streaming")(_on_node)
        with _mark(program.home) as marker:
            try:
                while waiting or running:
                    while len(running) < self._most(ray) and (one := waiting.next()) is not None:
                        gpus = self.gpu_share * one.task.gpus
                        needs = {"num_gpus": gpus, "memory": self._memory(one.task)}
                        messages = start.options(num_cpus=1, **needs).remote(
                            program, one.task, self.limits, marker, copies
                        )
                        running[messages] = one
                    yield from waiting.take_dropped()
                    if not running:
                        threading.Event().wait(POLL_S if waiting else 0)
                        continue
                    for messages in ray.wait(list(running), timeout=POLL_S)[0]:
                        kind, value = _next(ray, messages)
                        one = running[messages]
                        if kind != "progress":
                            del running[messages]
                        if kind == "lacking":  # this node does not see the files of `home`
                            copies = copies or _Copies.of(ray, program)
                            waiting.again(one)
                        elif kind == "lost":
                            yield waiting.lost(one, value)
                        elif kind == "error":
                            raise CtrBenchError(value)
                        else:
                            yield Event(kind, one.task, value)
            finally:
                for messages in running:
                    ray.cancel(messages, force=True)

    def _connected(self) -> Any:
        """Return the module `ray`, connected to the cluster until this process ends."""
        try:
            import ray
        except ImportError as error:
            raise ConfigError(
                "--executor ray requires Ray: install ctrbench[ray] on every machine."
            ) from error
        if not ray.is_initialized():
            try:
                _probe(self.address or "")
                ray.init(self.address, logging_level=logging.ERROR, log_to_driver=False)
            except (OSError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"no Ray cluster answers at {self.address or 'the default address'} "
                    f"({first_line(error)}). Check --address and `ray status`."
                ) from error
        return ray

    def _most(self, ray: Any) -> int:
        """Return how many tasks Ray may hold at once."""
        return self.jobs or max(QUEUED * int(ray.cluster_resources().get("CPU", 0)), 1)

    def _memory(self, task: Task) -> int:
        """Return the memory to reserve for a task, in bytes."""
        return self.limits.bytes or task.memory_bytes


def _probe(address: str) -> None:
    """Raise an OSError if nothing listens at HOST:PORT; Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isascii() and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()


@dataclass(frozen=True)
class _Copies:
    """The inputs of a program in the object store."""

    key: str
    chunks: dict[str, list[Any]]  # references to the content of each file, by relative path

    @classmethod
    def of(cls, ray: Any, program: Program) -> _Copies:
        """Put the inputs into the object store, from which each node fetches them once."""
        chunks, facts = {}, [str(program.home)]
        for name in program.inputs:
            path = program.home / name
            state = path.stat()
            facts.append(f"{name} {state.st_size} {state.st_mtime_ns}")
            with path.open("rb") as file:
                chunks[name] = [ray.put(part) for part in iter(lambda: file.read(CHUNK_BYTES), b"")]
        return cls(hash_json(facts), chunks)

    def unpacked(self) -> Path:
        """Return the folder on this node that has the files; the first task writes them."""
        import ray

        folder = _own_folder() / self.key
        with lock(folder.with_suffix(".lock")):
            if not folder.exists():
                with atomic_folder(folder) as temporary:
                    for name, parts in self.chunks.items():
                        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                        with (temporary / name).open("wb") as file:
                            for part in parts:
                                file.write(ray.get(part))
        return folder


def _own_folder() -> Path:
    """Return the folder of copies on this node; no other user may write into it."""
    folder = Path(tempfile.gettempdir()) / f"ctrbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise StoreError(f"{folder} belongs to another user. Remove it on this node.")
    return folder


@contextmanager
def _mark(home: Path) -> Iterator[Path]:
    """Write a file by which a node recognises that it sees this folder."""
    marker = home / "cache" / f"ray-{uuid4().hex}"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    try:
        yield marker
    finally:
        with suppress(FileNotFoundError):
            marker.unlink()


def _on_node(
    program: Program, task: Task, limits: Limits, marker: Path, copies: _Copies | None
) -> Iterator[tuple[str, Any]]:
    """Run a task in a process of its own within a worker of Ray; yield what happens to it."""
    try:
        if not marker.exists():
            if copies is None:
                yield "lacking", None
                return
            program = replace(program, home=copies.unpacked())
        last = 0.0
        started = run_locally([task], program, lambda task: "start", 1, limits)
        with closing(started) as events:
            for event in events:
                if event.kind == "retried":  # elsewhere: the driver decides
                    yield "lost", event.value
                    return
                if event.kind == "progress":
                    if time.monotonic() - last < PROGRESS_S:
                        continue
                    last = time.monotonic()
                yield event.kind, event.value
    except CtrBenchError as error:
        yield "error", str(error)


def _next(ray: Any, messages: Any) -> tuple[Any, Any]:
    """Return the next message of a task; that it was lost if its worker or node died.

    Raises:
        ConfigError: The node cannot run ctrbench.
    """
    try:
        return ray.get(next(messages))
    except ray.exceptions.RayTaskError as error:
        raise ConfigError(
            f"a node of the cluster cannot run the cell: {error.cause}. Install the same version "
            "of ctrbench and of its dependencies on every node."
        ) from error
    except (ray.exceptions.RayError, StopIteration) as error:
        return "lost", f"{ENDED} ({type(error).__name__})"


def _nodes(ray: Any) -> list[dict[str, float]]:
    """Return the resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _require_gpus(ray: Any, tasks: list[Task]) -> None:
    if any(task.gpus for task in tasks) and not any(node.get("GPU") for node in _nodes(ray)):
        raise ConfigError(
            "the cells request a GPU (training.device), but no node of the Ray cluster has one. "
            "Add such a node, or set `device: cpu`."
        )
