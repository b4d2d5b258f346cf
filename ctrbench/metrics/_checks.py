"""Validation of the arrays that metrics take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ctrbench.arrays import blocks
from ctrbench.errors import DataError, raise_all
from ctrbench.scratch import IN_MEMORY, Scratch

EXAMPLES = 3  # rows that a message names


def checked(
    click: ArrayLike,
    p_click: ArrayLike,
    weight: ArrayLike | None,
    probability: bool = False,
    scratch: Scratch = IN_MEMORY,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return clicks, predictions and weights with the dtypes that metrics use.

    Arrays whose dtype is suitable are returned without a copy.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) finite numbers.
        weight: (N,) > 0 and finite, or None.
        probability: Whether predictions outside [0, 1] are an error.
        scratch: Provides the arrays whose dtype is converted.

    Returns:
        (N,) bool, (N,) float32 or float64, and (N,) float64 or None.

    Raises:
        DataError: An array is not valid; the message lists every problem.
    """
    arrays = {"click": np.asarray(click), "p_click": np.asarray(p_click)}
    allowed = {"click": "0 or 1", "p_click": "a probability in [0, 1]" if probability else "finite"}
    fit: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "click": lambda c: (c == 0) | (c == 1),
        "p_click": (lambda p: (p >= 0) & (p <= 1)) if probability else np.isfinite,
        "weight": lambda w: (w > 0) & np.isfinite(w),
    }
    if weight is not None:
        arrays["weight"], allowed["weight"] = np.asarray(weight), "finite and above 0"
    problems = _shape_problems(arrays)
    if not problems:
        for name, values in arrays.items():
            problems += _unfit_rows(name, values, fit[name], allowed[name])
    raise_all(problems, DataError, "these arrays cannot be scored:")
    c, p = arrays["click"], arrays["p_click"]
    byte = c.dtype.kind in "iu" and c.dtype.itemsize == 1
    c = c.view(bool) if byte else _converted(c, (bool,), scratch)
    weights = arrays.get("weight")
    return (
        c,
        _converted(p, (np.float64, np.float32), scratch),
        None if weights is None else _converted(weights, (np.float64,), scratch),
    )


def _converted(values: np.ndarray, dtypes: Sequence[DTypeLike], scratch: Scratch) -> np.ndarray:
    """Return values of one of some dtypes, the first one if they must be converted."""
    if values.dtype in dtypes:
        return values
    return scratch.filled(len(values), dtypes[0], (values[part] for part in blocks(len(values))))


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


def _unfit_rows(
    name: str, values: np.ndarray, fit: Callable[[np.ndarray], np.ndarray], allowed: str
) -> list[str]:
    """Return a message if some rows are not valid."""
    count = 0
    rows: list[int] = []
    for part in blocks(len(values)):
        unfit = np.flatnonzero(~fit(values[part]))
        count += len(unfit)
        rows += [part.start + int(row) for row in unfit[: EXAMPLES - len(rows)]]
    examples = ", ".join(f"row {row}: {values[row]}" for row in rows)
    return (
        [f"{name} must be {allowed}; {count} of {len(values)} rows are not ({examples})"]
        if count
        else []
    )
