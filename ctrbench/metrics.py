"""Quality of predictions: arrays in, floats out, exact (no bins, ties count one half).

Sample weights say how many impressions a row stands for; without them every row counts once.
torchmetrics' `RetrievalAUROC` is *not* GAUC: it weights every user alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError, raise_all
from ctrbench.schema import Metrics

Weighting = Literal["impressions", "clicks", "users"]

SMALLEST_P = 2.0**-24  # log loss clips to [this, 1 - this]: float32 has nothing between that and 1


@dataclass(frozen=True)
class GroupedAuc:
    """Per-user AUC and what each user weighs; every weighting of GAUC stands on it.

    G users, ascending by id. Without sample weights `weight` equals `impressions` and
    `click_weight` equals `clicks`.
    """

    user_id: np.ndarray  # (G,)
    auc: np.ndarray  # (G,) NaN for a user with one class only
    impressions: np.ndarray  # (G,) rows
    clicks: np.ndarray  # (G,) clicked rows
    weight: np.ndarray  # (G,) sum of the sample weights
    click_weight: np.ndarray  # (G,) sum of the sample weights of clicked rows

    @property
    def evaluable(self) -> np.ndarray:
        """(G,) whether the user has both a click and a non-click."""
        return ~np.isnan(self.auc)

    @property
    def evaluable_users(self) -> int:
        """Users that carry GAUC."""
        return int(self.evaluable.sum())

    @property
    def evaluable_impressions(self) -> int:
        """Impressions of the users that carry GAUC."""
        return int(self.impressions[self.evaluable].sum())

    @property
    def share_of_users(self) -> float:
        """Users that carry GAUC, as a fraction of all."""
        return self.evaluable_users / max(len(self.auc), 1)

    @property
    def share_of_impressions(self) -> float:
        """Impressions of the users that carry GAUC, as a fraction of all."""
        return self.evaluable_impressions / max(int(self.impressions.sum()), 1)

    def gauc(self, weighting: Weighting = "impressions") -> float:
        """Mean of the per-user AUC over evaluable users, in the given weighting.

        Raises:
            DataError: no user has both a click and a non-click, or no such weighting.
        """
        weights, used = self.weights(weighting), self.evaluable
        if not used.any():
            raise DataError(
                f"GAUC is not defined: none of {len(used)} users has both a click and a non-click."
            )
        return float(np.average(self.auc[used], weights=weights[used]))

    def weights(self, weighting: Weighting) -> np.ndarray:
        """(G,) what each user weighs in a weighting of GAUC.

        Raises:
            DataError: no such weighting.
        """
        known = {
            "impressions": self.weight,
            "clicks": self.click_weight,
            "users": np.ones(len(self.auc)),
        }
        if weighting not in known:
            raise DataError(f"no GAUC weighting {weighting!r}; known: {', '.join(known)}.")
        return known[weighting]


def auc(click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Chance that a click outranks a non-click, ties one half.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) predicted probability; only its order matters.
        weight: (N,) > 0; a pair of rows counts the product of their weights.

    Returns:
        A fraction; 0.5 is chance.

    Raises:
        DataError: an array is unfit, or there is no click or no non-click.

    >>> auc([1, 0, 1, 0], [.9, .1, .4, .4])
    0.875
    """
    clicks, p, weights = _checked(click, p_click, weight)
    if not 0 < clicks.sum() < len(clicks):
        raise DataError(
            f"AUC needs a click and a non-click; {clicks.sum()} of {len(clicks)} rows are clicks."
        )
    if weights is not None:
        return RankedAuc(clicks, p).auc(weights)
    yes, no = np.sort(p[clicks]), np.sort(p[~clicks])
    few, many = (yes, no) if len(yes) < len(no) else (no, yes)
    below = (np.searchsorted(many, few, side).sum(dtype=np.int64) for side in ("left", "right"))
    share = sum(map(int, below)) / (2 * len(few) * len(many))
    return share if few is yes else 1 - share


class RankedAuc:
    """Predictions sorted once, for their AUC under any weights: those of a resampling, say.

    >>> ranked = RankedAuc(np.array([True, False, True, False]), np.array([.9, .1, .4, .4]))
    >>> ranked.auc(np.ones(4)), ranked.auc(np.array([1., 0., 1., 2.]))
    (0.875, 0.75)
    """

    def __init__(self, click: ArrayLike, p_click: ArrayLike) -> None:
        """Sort (N,) clicks, 0 or 1, by (N,) predictions.

        Raises:
            DataError: an array is unfit.
        """
        clicks, p, _ = _checked(click, p_click, None)
        self._order = ascending(p)
        self._clicked = clicks[self._order]
        self._tie = _starts(p[self._order])

    def auc(self, weight: np.ndarray) -> float:
        """AUC with (N,) weights >= 0, in the order of the impressions; NaN without both classes."""
        weights = weight[self._order]
        yes = _sums(weights * self._clicked, self._tie)
        no = _sums(weights * ~self._clicked, self._tie)
        area = np.sum(yes * (_sums_before(no, np.zeros(1, np.int64)) + no / 2))
        total = yes.sum() * no.sum()
        return float(area / total) if total else math.nan


def gauc(
    click: ArrayLike,
    p_click: ArrayLike,
    user_id: ArrayLike,
    weighting: Weighting = "impressions",
    weight: ArrayLike | None = None,
) -> float:
    """Mean of the per-user AUC, weighted by impressions; users with one class only are left out.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) predicted probability; only its order matters.
        user_id: (N,) who saw the impression: any integers, or strings.
        weighting: what a user weighs: impressions (with sample weights: their sum), clicks (with
            sample weights: their sum over clicked rows), or users (1 each).
        weight: (N,) > 0, sample weights.

    Returns:
        A fraction; 0.5 is chance.

    Raises:
        DataError: an array is unfit, or no user has both a click and a non-click.

    Source: Zhou et al. 2018, arXiv:1706.06978, section "Metrics".

    >>> gauc([1, 0, 1, 0, 0, 0], [.9, .1, .2, .8, .1, .5], [1, 1, 2, 2, 2, 3])
    0.7
    """
    return grouped_auc(click, p_click, user_id, weight).gauc(weighting)


def grouped_auc(
    click: ArrayLike, p_click: ArrayLike, user_id: ArrayLike, weight: ArrayLike | None = None
) -> GroupedAuc:
    """The AUC of every user by one sort; arguments as in `gauc`.

    Raises:
        DataError: an array is unfit.

    >>> grouped_auc([1, 0, 1, 0, 0, 0], [.9, .1, .2, .8, .1, .5], [1, 1, 2, 2, 2, 3]).auc
    array([1. , 0.5, nan])
    """
    clicks, p, weights = _checked(click, p_click, weight)
    return _grouped(clicks, p, _checked_users(user_id, len(p)), weights)


def tied_pairs(click: ArrayLike, p_click: ArrayLike, group_id: ArrayLike | None = None) -> float:
    """Share of the pairs of a click and a non-click that have equal predictions.

    AUC and GAUC count such a pair one half.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) predictions.
        group_id: (N,) integers: only pairs within one group count; None: all.

    Raises:
        DataError: an array is unfit.

    >>> tied_pairs([1, 0, 0, 1], [0.5, 0.5, 0.1, 0.2])
    0.25
    """
    clicks, p, _ = _checked(click, p_click, None)
    groups = np.zeros(len(p), np.int64) if group_id is None else np.asarray(group_id)
    order = np.lexsort((p, groups))
    groups, p, clicks = groups[order], p[order], clicks[order]
    new_group = np.diff(groups, prepend=groups[:1] - 1) != 0
    ties = np.flatnonzero(new_group | (np.diff(p, prepend=p[:1] - 1) != 0))
    pairs = [
        float(
            np.sum(_sums(clicks.astype(np.float64), at) * _sums((~clicks).astype(np.float64), at))
        )
        for at in (ties, np.flatnonzero(new_group))
    ]
    return pairs[0] / pairs[1] if pairs[1] else 0.0


def log_loss(click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean negative log likelihood in nats, with p_click clipped to [2^-24, 1 - 2^-24].

    The clip is the last step of float32 before 1: a saturated sigmoid costs 16.6, not infinity.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) in [0, 1].
        weight: (N,) > 0.

    Raises:
        DataError: an array is unfit or empty, or p_click lies outside [0, 1].

    >>> round(log_loss([1, 0], [.5, .5]), 6)
    0.693147
    """
    clicks, p, weights = _checked(click, p_click, weight, probability=True)
    if not len(p):
        raise DataError("log loss needs at least one row.")
    clipped = np.clip(p.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
    return float(np.average(-np.log(np.where(clicks, clipped, 1 - clipped)), weights=weights))


def predicted_over_observed(
    click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Mean p_click over the observed CTR; 1 is calibrated, 2 promises twice the clicks.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) in [0, 1].
        weight: (N,) > 0.

    Raises:
        DataError: an array is unfit, there is no click, or p_click lies outside [0, 1].

    >>> predicted_over_observed([1, 0, 0, 0], [.5, .5, .5, .5])
    2.0
    """
    clicks, p, weights = _checked(click, p_click, weight, probability=True)
    if not clicks.any():
        raise DataError(f"predicted over observed CTR needs a click; none of {len(p)} rows is one.")
    predicted = np.average(p.astype(np.float64), weights=weights)
    return float(predicted / np.average(clicks, weights=weights))


def evaluate(
    click: ArrayLike,
    p_click: ArrayLike,
    user_id: ArrayLike,
    weight: ArrayLike | None = None,
    group_id: ArrayLike | None = None,
) -> Metrics:
    """Return all metrics of one set of predictions; None where one is not defined.

    Args:
        click: (N,) 0 or 1; N may be 0.
        p_click: (N,) in [0, 1].
        user_id: (N,) who saw the impression: any integers, or strings.
        weight: (N,) > 0; the counts are of rows all the same.
        group_id: (N,) integers, the impressions that GAUC compares with each other, each group
            within one user; None: all of a user's.

    Raises:
        DataError: An array is unfit.
    """
    clicks, p, weights = _checked(click, p_click, weight, probability=True)
    users = _checked_users(user_id, len(p))
    groups = users if group_id is None else _checked_users(group_id, len(p))
    grouped = _grouped(clicks, p, groups, weights)
    clicked, evaluable = int(clicks.sum()), grouped.evaluable_users > 0
    shown, carrying = len(grouped.auc), grouped.evaluable_users
    if group_id is not None:
        carries = np.isin(groups, grouped.user_id[grouped.evaluable])
        shown, carrying = len(np.unique(users)), len(np.unique(users[carries]))
    return Metrics(
        impressions=len(p),
        clicks=clicked,
        users=shown,
        evaluable_users=carrying,
        evaluable_impressions=grouped.evaluable_impressions,
        auc=auc(clicks, p, weights) if 0 < clicked < len(p) else None,
        gauc=grouped.gauc("impressions") if evaluable else None,
        gauc_clicks=grouped.gauc("clicks") if evaluable else None,
        gauc_users=grouped.gauc("users") if evaluable else None,
        log_loss=log_loss(clicks, p, weights) if len(p) else None,
        predicted_over_observed=predicted_over_observed(clicks, p, weights) if clicked else None,
    )


def _grouped(
    clicks: np.ndarray, p: np.ndarray, user_id: np.ndarray, weights: np.ndarray | None
) -> GroupedAuc:
    """The AUC of every user: clicked weight x not-clicked weight below it, over all such pairs."""
    key, name = _keys(clicks, p, user_id)
    if weights is not None:
        order = np.argsort(key)
        return _Sorted.of(key[order], name).grouped(weights[order])
    key.sort()  # the keys alone, several times faster than an argsort
    return _Sorted.of(key, name).grouped(None)


Names = Callable[[np.ndarray], np.ndarray]  # (G,) codes -> (G,) user ids


def _keys(clicks: np.ndarray, p: np.ndarray, user_id: np.ndarray) -> tuple[np.ndarray, Names]:
    """(N,) uint64 that sort by user, prediction and click: 31, 32 and 1 bits; users of codes."""
    code, name = _user_codes(user_id)
    return code << np.uint64(33) | _order(p) << np.uint64(1) | clicks, name


@dataclass(frozen=True)
class _Sorted:
    """Rows of N impressions by user and prediction, and where what begins."""

    clicked: np.ndarray  # (N,) int64
    first: np.ndarray  # (G,) rows where a user begins
    tie: np.ndarray  # rows where a user's next value of p_click begins
    first_tie: np.ndarray  # (G,) ties where a user begins
    user_id: np.ndarray  # (G,)

    @classmethod
    def of(cls, key: np.ndarray, name: Names) -> _Sorted:
        first, tie = _starts(key >> np.uint64(33)), _starts(key >> np.uint64(1))
        user_id = name((key[first] >> np.uint64(33)).astype(np.int64))
        clicked = (key & np.uint64(1)).astype(np.int64)
        return cls(clicked, first, tie, np.searchsorted(tie, first), user_id)

    def grouped(self, weights: np.ndarray | None) -> GroupedAuc:
        """With (N,) weights in this order, or each row counted once."""
        clicked, first, tie, first_tie = self.clicked, self.first, self.tie, self.first_tie
        rows = len(clicked)
        yes = _sums(clicked if weights is None else weights * clicked, tie)
        no = (np.diff(tie, append=rows) if weights is None else _sums(weights, tie)) - yes
        area = _sums(yes * (_sums_before(no, first_tie) + no / 2), first_tie)
        click_weight = _sums(yes, first_tie)
        impressions = np.diff(first, append=rows)
        with np.errstate(invalid="ignore"):  # 0 / 0: one class only
            user_auc = area / (click_weight * _sums(no, first_tie))
        return GroupedAuc(
            user_id=self.user_id,
            auc=user_auc,
            impressions=impressions,
            clicks=click_weight if weights is None else _sums(clicked, first),
            weight=impressions.astype(np.float64) if weights is None else _sums(weights, first),
            click_weight=click_weight.astype(np.float64),
        )


def _user_codes(user_id: np.ndarray) -> tuple[np.ndarray, Names]:
    """(N,) uint64 codes below 2^31, ascending with the id, and the way back from code to id."""
    if user_id.dtype.kind in "iu" and len(user_id):
        low, high = user_id.min(), user_id.max()
        if int(high) - int(low) < 1 << 31:
            wide = np.uint64 if user_id.dtype.kind == "u" else np.int64
            code = np.subtract(user_id, low, dtype=wide).astype(np.uint64)
            return code, lambda codes: (codes.astype(wide) + low).astype(user_id.dtype)
    distinct, code = np.unique(user_id, return_inverse=True)
    return code.astype(np.uint64), lambda codes: distinct[codes]


def _order(p: np.ndarray) -> np.ndarray:
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
    key = _order(p) << np.uint64(32) | np.arange(len(p), dtype=np.uint64)
    key.sort()
    return (key & np.uint64((1 << 32) - 1)).astype(np.int64)


def _starts(values: np.ndarray) -> np.ndarray:
    """Positions at which a sorted array takes a new value."""
    return np.flatnonzero(
        np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])
    )


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums over the runs that begin at `starts`."""
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def _sums_before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
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


def _checked(
    click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None, probability: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(N,) bool, (N,) float32 or float64, (N,) float64 or None.

    Raises:
        DataError: with every reason why these arrays cannot be scored.
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
    p = p if p.dtype in (np.float32, np.float64) else p.astype(np.float64)
    weights = arrays["weight"].astype(np.float64) if weight is not None else None
    return arrays["click"].astype(bool), p, weights


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


def _checked_users(user_id: ArrayLike, rows: int) -> np.ndarray:
    """(N,) integers or strings.

    Raises:
        DataError: neither, or not one per row.
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
