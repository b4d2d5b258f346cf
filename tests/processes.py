"""Runs a function in several processes that form one group, as torchrun starts them."""

import os
import socket
import weakref

import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import typer

from ctrbench.cli._processes import processes


def by_processes(count, work, *arguments):
    """Return what `work(rank, found, *arguments)` writes to `found` in `count` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = multiprocessing.Manager().dict()
    multiprocessing.spawn(_process, args=(count, port, work, found, arguments), nprocs=count)
    return dict(found)


def _process(rank, count, port, work, found, arguments):
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": count, "RANK": rank}
    os.environ.update({name: str(value) for name, value in place.items()})
    try:
        with processes():
            group = weakref.ref(dist.group.WORLD)
            work(rank, found, *arguments)
    except typer.Exit as ended:
        found["exit code", rank] = ended.exit_code
    assert group() is None  # or its threads would outlive the interpreter, which aborts then
