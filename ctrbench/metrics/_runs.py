"""Sorting of rows, runs of equal values, and sums over runs."""

from __future__ import annotations

import math

import numpy as np


def order_of(p: np.ndarray) -> np.ndarray:
    """Return (N,) uint64 below 2^32 in the order of p.

    They are the bits of float32 values, or ranks if the values do not fit float32.
    """
    with np.errstate(over="ignore"):
        short = p.astype(np.float32) + np.float32(0)  # + 0 removes negative zero
    if not np.array_equal(short, p):
        return np.unique(p, return_inverse=True)[1].astype(np.uint64)
    bits = short.view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)


def ascending(p: np.ndarray) -> np.ndarray:
    """Return a stable argsort of p as (N,) int64.

    Args:
        p: (N,) finite float32 (twice as fast) or float64; N below 2^32.
    """
    if p.dtype != np.float32:
        return np.argsort(p, kind="stable")
    key = order_of(p) << np.uint64(32) | np.arange(len(p), dtype=np.uint64)
    key.sort()
    return (key & np.uint64((1 << 32) - 1)).astype(np.int64)


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


def distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values in ascending order, and the (N,) int64 place of each among them.

    Equals `numpy.unique` with `return_inverse`, and needs no sort for integers of a small range.

    >>> distinct(np.array([7, 5, 7]))
    (array([5, 7]), array([1, 0, 1]))
    """
    if values.dtype.kind not in "iu" or not len(values):
        return np.unique(values, return_inverse=True)
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values):
        return np.unique(values, return_inverse=True)
    wide = np.uint64 if values.dtype.kind == "u" else np.int64
    code = np.subtract(values, low, dtype=wide).astype(np.int64)
    there = np.zeros(high - low + 1, bool)
    there[code] = True
    place = np.cumsum(there) - 1
    known = np.flatnonzero(there).astype(wide) + wide(low)
    return known.astype(values.dtype), place[code]


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
        step = math.ldexp(1.0, math.frexp(values.sum())[1] - 62)
        leading = np.floor(values / step)
        rest = values - leading * step
        return step * _before(leading.astype(np.int64), starts) + _before(rest, starts)
    return _before(values, starts)


def _before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    before = np.cumsum(values) - values
    return before - np.repeat(before[starts], np.diff(starts, append=len(values)))
