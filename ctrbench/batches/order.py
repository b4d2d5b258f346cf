"""The order in which a cell reads impressions: shuffled, in blocks of consecutive rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrbench.seeding import stream

BLOCK_ROWS = 256  # consecutive rows read together
WINDOW_BLOCKS = 4096  # blocks mixed with each other: about a million rows


def shuffled_batches(rows: slice, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Yield every row of a range once, in shuffled batches. All cells of a seed share the order.

    Blocks of rows are permuted, then the rows within each window of blocks. A log larger than
    memory is read sequentially, and a batch still mixes users and times.

    Args:
        rows: A range of row numbers.
        batch_size: B; the last batch may be smaller.
        seed: The seed of the cell.
        epoch: From 0; each epoch has its own order.

    Yields:
        (B,) int64 row numbers.
    """
    rng = stream(seed, "order", epoch)
    starts = np.arange(rows.start, rows.stop, BLOCK_ROWS)
    rng.shuffle(starts)
    rest = np.empty(0, np.int64)
    for first in range(0, len(starts), WINDOW_BLOCKS):
        window = starts[first : first + WINDOW_BLOCKS]
        mixed = (window[:, None] + np.arange(BLOCK_ROWS)).ravel()
        mixed = mixed[mixed < rows.stop]
        rng.shuffle(mixed)
        rest = np.concatenate([rest, mixed])
        full = len(rest) // batch_size * batch_size
        yield from rest[:full].reshape(-1, batch_size)
        rest = rest[full:]
    if len(rest):
        yield rest


def sequential_batches(rows: slice, batch_size: int) -> Iterator[np.ndarray]:
    """Yield every row of a range once, in stored order.

    Args:
        rows: A range of row numbers.
        batch_size: B; the last batch may be smaller.

    Yields:
        (B,) int64 row numbers.
    """
    for start in range(rows.start, rows.stop, batch_size):
        yield np.arange(start, min(start + batch_size, rows.stop))
