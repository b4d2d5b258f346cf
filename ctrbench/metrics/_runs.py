"""Sorted rows: their order, the runs of equal values, and sums over these."""

from __future__ import annotations

import math

import numpy as np


def order_of(p: np.ndarray) -> np.ndarray:
    """(N,) uint64 below 2^32 in the order of p: the bits of a float32, the rank of a float64."""
    with np.errstate(over="ignore"):
        short = p.astype(np.float32) + np.float32(0)  # + 0: no negative zero
    if not np.array_equal(short, p):
        return np.unique(p, return_inverse=True)[1].astype(np.uint64)
    bits = short.view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)


def ascending(p: np.ndarray) -> np.ndarray:
    """(N,) rows in the order of p, ties in the order of rows: a stable argsort.

    Args:
        p: (N,) finite float32, twice as fast, or float64; N below 2^32.
    """
    if p.dtype != np.float32:
        return np.argsort(p, kind="stable")
    key = order_of(p) << np.uint64(32) | np.arange(len(p), dtype=np.uint64)
    key.sort()
    return (key & np.uint64((1 << 32) - 1)).astype(np.int64)


def starts(values: np.ndarray) -> np.ndarray:
    """Positions at which a sorted array takes a new value."""
    return np.flatnonzero(
        np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])
    )


def sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums over the runs that begin at `starts`."""
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def sums_before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(n,) sum of the values before each one within its own run.

    A running sum over millions of rows drowns the last digits of a small run, so the leading
    62 bits are summed as integers, without error, and what they leave over by itself.
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
