"""Validation of the arrays that metrics take."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError, raise_all


def checked(
    click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None, probability: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return clicks, predictions and weights with the dtypes that metrics use.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) finite numbers.
        weight: (N,) > 0 and finite, or None.
        probability: Whether predictions outside [0, 1] are an error.

    Returns:
        (N,) bool, (N,) float32 or float64, and (N,) float64 or None.

    Raises:
        DataError: An array is not valid; the message lists every problem.
    """
    arrays = {"click": np.asarray(click), "p_click": np.asarray(p_click)}
    allowed = {"click": "0 or 1", "p_click": "a probability in [0, 1]" if probability else "finite"}
    if weight is not None:
        arrays["weight"], allowed["weight"] = np.asarray(weight), "finite and above 0"
    problems = _shape_problems(arrays)
    if not problems:
        c, p, w = (arrays.get(name, np.ones(0)) for name in ("click", "p_click", "weight"))
        fit = {
            "click": (c == 0) | (c == 1),
            "p_click": (p >= 0) & (p <= 1) if probability else np.isfinite(p),
            "weight": (w > 0) & np.isfinite(w),
        }
        problems = [
            _unfit_rows(name, values, ~fit[name], allowed[name])
            for name, values in arrays.items()
            if not fit[name].all()
        ]
    raise_all(problems, DataError, "these arrays cannot be scored:")
    p = arrays["p_click"]
    p = p if p.dtype in (np.dtype(np.float32), np.dtype(np.float64)) else p.astype(np.float64)
    weights = arrays["weight"].astype(np.float64) if weight is not None else None
    return arrays["click"].astype(bool), p, weights


def checked_users(user_id: ArrayLike, rows: int) -> np.ndarray:
    """Return user ids as an (N,) array of integers or strings.

    Args:
        user_id: (N,) int or str.
        rows: N.

    Raises:
        DataError: The ids are of another type, or their number is not N.
    """
    users = np.asarray(user_id)
    if users.dtype.kind == "O" and all(isinstance(user, str) for user in users):
        users = users.astype(str)
    if users.shape == (0,) == (rows,):
        return users.astype(np.int64)
    if users.ndim != 1 or len(users) != rows:
        raise DataError(f"user_id must have one entry per row: {rows}; its shape is {users.shape}.")
    if users.dtype.kind not in "biuUST":
        raise DataError(f"user_id must be integers or strings; it is {users.dtype}.")
    return users


def _shape_problems(arrays: dict[str, np.ndarray]) -> list[str]:
    problems = [
        f"{name} must be one-dimensional numbers; it is {values.dtype} of shape {values.shape}"
        for name, values in arrays.items()
        if values.ndim != 1 or values.dtype.kind not in "biuf"
    ]
    if len({values.shape for values in arrays.values()}) > 1 and not problems:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in arrays.items())
        problems.append(f"the lengths differ: {lengths}")
    return problems


def _unfit_rows(name: str, values: np.ndarray, unfit: np.ndarray, allowed: str) -> str:
    rows = np.flatnonzero(unfit)
    examples = ", ".join(f"row {row}: {values[row]}" for row in rows[:3])
    return f"{name} must be {allowed}; {len(rows)} of {len(values)} rows are not ({examples})"
