"""Typed access to the few functions of SciPy that statistics use; SciPy loads on the first call."""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# SciPy has no type information, so only this module sees its functions.

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import numpy as np


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal variable is at most `z`."""
    from scipy.special import ndtr

    return float(ndtr(z))


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile of a probability in [0, 1]."""
    from scipy.special import ndtri

    return float(ndtri(probability))


@overload
def student_cdf(degrees: float, t: float) -> float: ...
@overload
def student_cdf(degrees: np.ndarray, t: np.ndarray) -> np.ndarray: ...
def student_cdf(degrees: float | np.ndarray, t: float | np.ndarray) -> float | np.ndarray:
    """Return the probability that a Student t variable is at most `t`.

    Args:
        degrees: Degrees of freedom, > 0; a number or (n,) float64.
        t: Of the same shape.
    """
    from scipy.special import stdtr

    return stdtr(degrees, t)


def student_quantile(degrees: float, probability: float) -> float:
    """Return the quantile of Student's t distribution.

    Args:
        degrees: Degrees of freedom, > 0.
        probability: In (0, 1).
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def chi_squared_tail(degrees: float, value: float) -> float:
    """Return the probability that a chi-squared variable exceeds a value.

    Args:
        degrees: Degrees of freedom, > 0.
        value: >= 0.
    """
    from scipy.special import chdtrc

    return float(chdtrc(degrees, value))


def chi_squared_tail_quantile(degrees: float, tail: np.ndarray) -> np.ndarray:
    """Return the values that a chi-squared variable exceeds with given probabilities.

    Args:
        degrees: Degrees of freedom, > 0.
        tail: (n,) float64 in (0, 1).
    """
    from scipy.special import chdtri

    return chdtri(degrees, tail)


def f_tail(numerator: float, denominator: float, value: float) -> float:
    """Return the probability that an F variable exceeds a value.

    Args:
        numerator: Degrees of freedom of the numerator, > 0.
        denominator: Degrees of freedom of the denominator, > 0.
        value: >= 0.
    """
    from scipy.special import fdtrc

    return float(fdtrc(numerator, denominator, value))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, from 1 for the smallest; ties share their mean rank.

    >>> ranks(np.array([3.0, 1.0, 3.0]))
    array([2.5, 1. , 2.5])
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=-1), np.float64)


def root(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Return a root of a continuous function by Brent's method.

    Args:
        function: Has opposite signs at `low` and `high`.
        low: Lower end of the interval.
        high: Upper end of the interval.
        tolerance: Absolute tolerance of the root, > 0.
    """
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=tolerance))  # pyright: ignore[reportArgumentType]
