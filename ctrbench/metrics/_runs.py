"""Sorting of rows, runs of equal values, and sums over runs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.scratch import IN_MEMORY, ROW, ROW_BITS, Scratch, sections


def order_of(p: np.ndarray) -> np.ndarray:
    """Return (N,) uint64 below 2^32 in the order of p.

    They are the bits of float32 values, or ranks if the values do not fit float32.
    """
    with np.errstate(over="ignore"):
        short = p.astype(np.float32) + np.float32(0)  # + 0 removes negative zero
    if not np.array_equal(short, p):
        return np.unique(p, return_inverse=True)[1].astype(np.uint64)
    return _bits(short)


def _bits(short: np.ndarray) -> np.ndarray:
    """Return (N,) uint64 below 2^32 in the order of float32 values without negative zero."""
    bits = short.view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)


def ascending(p: np.ndarray, scratch: Scratch = IN_MEMORY) -> np.ndarray:
    """Return a stable argsort of p as (N,) int64.

    Args:
        p: (N,) finite float32 (faster) or float64; N below 2^32.
        scratch: Provides the array.
    """
    key = scratch.empty(len(p), np.uint64)
    for part in blocks(len(p)):
        with np.errstate(over="ignore"):
            short = p[part].astype(np.float32) + np.float32(0)
        key[part] = _bits(short) << ROW_BITS | np.arange(part.start, part.stop, dtype=np.uint64)
    key.sort()
    order = key.view(np.int64)
    for part in sections(key, lambda one: one >> ROW_BITS):
        rows = (key[part] & ROW).astype(np.int64)
        if p.dtype != np.float32:  # values that are equal as float32 are in the order of rows
            rows = rows[np.argsort(p[rows], kind="stable")]
        order[part] = rows
    return order


def within_groups(order: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return an order of rows by group, which within each group is the given one.

    Args:
        order: (N,) int64, the rows in some order; N below 2^32.
        group: (N,) int in [0, 2^31), the group of each row.

    >>> within_groups(np.array([2, 0, 1]), np.array([1, 0, 0]))
    array([2, 1, 0])
    """
    key = group[order].astype(np.uint64) << np.uint64(32) | np.arange(len(order), dtype=np.uint64)
    key.sort()  # several times faster than a stable argsort
    return order[key & np.uint64((1 << 32) - 1)]


def distinct(values: np.ndarray, scratch: Scratch = IN_MEMORY) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values in ascending order, and the (N,) int32 place of each among them.

    Equals `numpy.unique` with `return_inverse`, and needs no sort for integers of a small range.

    Args:
        values: (N,) int or str.
        scratch: Provides the array of places.

    >>> distinct(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1], dtype=int32))
    """
    few = values.dtype.kind in "iu" and len(values) > 0
    low, high = (int(values.min()), int(values.max())) if few else (0, 0)
    if not few or high - low > 4 * len(values):
        known, place = np.unique(values, return_inverse=True)
        return known, place.astype(np.int32)
    wide = np.uint64 if values.dtype.kind == "u" else np.int64

    def codes() -> Iterator[np.ndarray]:
        return (
            np.subtract(values[part], low, dtype=wide).astype(np.int64)
            for part in blocks(len(values))
        )

    there = np.zeros(high - low + 1, bool)
    for code in codes():
        there[code] = True
    place = np.cumsum(there, dtype=np.int32) - np.int32(1)
    found = scratch.filled(len(values), np.int32, (place[code] for code in codes()))
    known = np.flatnonzero(there).astype(wide) + wide(low)
    return known.astype(values.dtype), found


def starts(values: np.ndarray) -> np.ndarray:
    """Return the positions at which a sorted array changes its value, including 0."""
    return np.flatnonzero(
        np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])
    )


def sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the sums over runs.

    Args:
        values: (N,) numbers.
        starts: (n,) int64, ascending, the first row of each run.
    """
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def sums_before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return (n,) sums of the preceding values of the same run.

    A running sum over millions of rows loses the last digits of small runs. The leading 62 bits are
    therefore summed as integers, which is exact, and the remainder is summed separately.

    Args:
        values: (n,) numbers.
        starts: Ascending, the first row of each run.
    """
    if values.dtype.kind == "f":
        step = leading_step(float(values.sum()))
        leading = np.floor(values / step)
        rest = values - leading * step
        return step * _before(leading.astype(np.int64), starts) + _before(rest, starts)
    return _before(values, starts)


def leading_step(total: float) -> float:
    """Return the unit in which the leading 62 bits of values with a sum are integers."""
    return math.ldexp(1.0, math.frexp(total)[1] - 62)


def _before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    before = np.cumsum(values) - values
    return before - np.repeat(before[starts], np.diff(starts, append=len(values)))
