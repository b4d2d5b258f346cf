"""Named random streams: each random choice has its own, so that none changes another's draws."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def stream_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on `seed` and on every part of the name.

    Args:
        seed: The cell's seed.
        *names: The parts of the stream's name.

    >>> stream_seed(3, "order") == stream_seed(3, "order")
    True
    """
    text = "\0".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the numpy generator of a named stream.

    Args:
        seed: The cell's seed.
        *names: The parts of the stream's name.
    """
    return np.random.Generator(np.random.PCG64(stream_seed(seed, *names)))


@contextmanager
def scoped_torch_seed(seed: int, *names: str | int) -> Iterator[None]:
    """Make torch draw from a named stream within the block, and restore its state afterwards.

    Args:
        seed: The cell's seed.
        *names: The parts of the stream's name.
    """
    import torch

    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(stream_seed(seed, *names))
        if devices:
            torch.cuda.manual_seed_all(stream_seed(seed, *names))
        yield
