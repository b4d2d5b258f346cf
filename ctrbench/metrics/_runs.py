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
