"""Functions that executors run in their processes."""

import os
import signal
import time
from pathlib import Path

from ctrbench.errors import StoreError
from ctrbench.executors import SLOT


def square(message, home, progress):
    progress(0.5)
    return message * message


def read_file(message, home, progress):
    return (home / message).read_text()


def die_once(message, home, progress):
    """Die at the first try of the message 2."""
    tried = home / f"tried-{message}"
    with tried.open("a") as file:
        file.write("x")
    if message == 2 and tried.stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return message


def die_always(message, home, progress):
    if message == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return message


def hang(message, home, progress):
    if message == 2:
        time.sleep(1000)
    return message


def grow(message, home, progress):
    if message == 2:
        memory = []
        while True:
            memory.append(bytearray(b"x" * 20_000_000))
            time.sleep(0.01)
    return message


def full_disk(message, home, progress):
    raise StoreError("no space left")


def divide(message, home, progress):
    return 1 / message


def tell_and_wait(message, home, progress):
    Path(home / "pid").write_text(str(os.getpid()))
    progress(0.25)
    signal.pause()


def meet(message, home, progress):
    """Wait until two tasks run; return the slot of the process and the GPUs that it sees."""
    (home / f"here-{message}").touch()
    end = time.monotonic() + 60
    while len(list(home.glob("here-*"))) < 2:
        if time.monotonic() > end:
            raise StoreError("no other task runs")
        time.sleep(0.01)
    return os.environ[SLOT], os.environ.get("CUDA_VISIBLE_DEVICES")
