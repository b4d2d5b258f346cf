"""How much each user moves a metric: the closed form of its standard error, clustered by user.

A metric of one log is, to first order, its true value plus a sum over users of one number each. Two
models on the same impressions move together, so the error of their difference comes from the
difference of these numbers, user by user.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics import SMALLEST_P, Weighting, ascending, grouped_auc

GAUC_WEIGHTINGS: dict[str, Weighting] = {
    "gauc": "impressions",
    "gauc_clicks": "clicks",
    "gauc_users": "users",
}
METRICS = ("auc", *GAUC_WEIGHTINGS, "log_loss")
FEWEST_USERS = 100  # evaluable; below, a few people decide
FEWEST_WORTH = 10.0  # users of equal weight; below, intervals hold less surely


@dataclass(frozen=True)
class Influence:
    """A metric and what each of its G users adds to its deviation; `_leverage` is in the values."""

    value: float
    per_user: np.ndarray  # (G,)
    worth: float  # users of equal weight that would say as much, see `worth_of`

    @property
    def standard_error(self) -> float:
        """Of the metric, users being the unit that is sampled; NaN for a single user."""
        return standard_error(self.per_user)


def standard_error(per_user: np.ndarray) -> float:
    """Root of the sum of squares over the G users, times G / (G - 1); NaN for a single user.

    Source: Obuchowski 1997, Biometrics 53, for clustered AUC; the linearised variance of a
    weighted mean for GAUC and log loss.

    >>> round(standard_error(np.array([.1, -.1])), 6)
    0.2
    """
    users = len(per_user)
    if users < 2:
        return math.nan
    return math.sqrt(users / (users - 1) * float(np.sum(np.square(per_user))))


def influences(
    click: ArrayLike, p_click: ArrayLike, user_id: ArrayLike, weight: ArrayLike | None = None
) -> Mapping[str, Influence]:
    """Influence values of every metric of `METRICS`, users ascending by id.

    A metric that is not defined, for want of a click or a non-click, is left out, and so is AUC
    where all clicks, or all others, are one user's: how it varies over users cannot be told then.
    A user with one class only moves GAUC by 0.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) in [0, 1].
        user_id: (N,) who saw the impression: any integers.
        weight: (N,) > 0.

    Raises:
        DataError: an array is unfit.
    """
    grouped = grouped_auc(click, p_click, user_id, weight)
    clicks, p = np.asarray(click).astype(bool), np.asarray(p_click)
    weights = np.ones(len(p)) if weight is None else np.asarray(weight, np.float64)
    user = np.searchsorted(grouped.user_id, np.asarray(user_id))  # (N,)
    users = len(grouped.user_id)
    found = {}
    carriers = [np.count_nonzero(np.bincount(user[own])) for own in (clicks, ~clicks)]
    if min(carriers) > 1:
        found["auc"] = _auc(clicks, p, weights, user, users)
    if grouped.evaluable_users:
        for name, weighting in GAUC_WEIGHTINGS.items():
            value, share = grouped.gauc(weighting), grouped.weights(weighting) * grouped.evaluable
            deviation = np.where(grouped.evaluable, grouped.auc - value, 0.0)
            part = share / share.sum()
            found[name] = Influence(value, _leverage(part) * part * deviation, worth_of(part))
    if len(p):
        clipped = np.clip(p.astype(np.float64), SMALLEST_P, 1 - SMALLEST_P)
        loss = -np.log(np.where(clicks, clipped, 1 - clipped))
        value, total = float(np.average(loss, weights=weights)), weights.sum()
        part = np.bincount(user, weights, users) / total
        per_user = np.bincount(user, weights * (loss - value) / total, users)
        found["log_loss"] = Influence(value, _leverage(part) * per_user, worth_of(part))
    return found


def _auc(
    clicks: np.ndarray, p: np.ndarray, weights: np.ndarray, user: np.ndarray, users: int
) -> Influence:
    """Each click's share of non-clicks below it, and each non-click's of clicks above it.

    Both classes are centred on a mean of their own. For users alike their leverages are the
    n / (n - 1) of Obuchowski's variance, n being the users with an impression of the class. The
    class that fewer users carry says what all is worth.
    """
    order = ascending(p)
    sorted_p = p[order]
    new = np.concatenate([[True], sorted_p[1:] != sorted_p[:-1]])
    tie, starts = np.cumsum(new) - 1, np.flatnonzero(new)
    yes, no = weights * clicks, weights * ~clicks
    yes_tie, no_tie = (np.add.reduceat(column[order], starts) for column in (yes, no))
    no_below = np.cumsum(no_tie) - no_tie / 2
    yes_above = yes.sum() - np.cumsum(yes_tie) + yes_tie / 2
    place = np.empty(len(p))
    place[order] = np.where(clicks[order], no_below[tie] / no.sum(), yes_above[tie] / yes.sum())
    value = float(np.sum(yes * place) / yes.sum())
    per_user, worth = np.zeros(users), float(users)
    for of_class in (clicks, ~clicks):
        own, mass = user[of_class], weights[of_class]
        part = np.bincount(own, mass, users) / mass.sum()
        moved = np.bincount(own, mass * (place[of_class] - value) / mass.sum(), users)
        per_user += _leverage(part, users) * moved
        worth = min(worth, worth_of(part))
    return Influence(value, per_user, worth)


def worth_of(part: np.ndarray) -> float:
    """Kish's effective number: users of equal weight whose mean would be known as well as this one.

    One over the sum of squares (Kish 1965, Survey Sampling, section 11.7). Less one, these are the
    degrees of freedom that a variance over users of uneven weight has at most.

    Args:
        part: (G,) share of each user in the weights of the mean.

    >>> worth_of(np.array([0.25, 0.25, 0.25, 0.25])), worth_of(np.array([1.0, 0.0]))
    (4.0, 1.0)
    """
    return 1 / float(np.sum(np.square(part)))


def _leverage(part: np.ndarray, users: int | None = None) -> np.ndarray:
    """(G,) how much users that weigh a lot pull a mean to themselves, and so seem closer to it.

    A user's squared distance from the mean is expected to be 1 - 2 part + sum(part^2) times the
    variance of one user, all varying alike; the root of that is made up for (CR2 of Bell and
    McCaffrey 2002, Survey Methodology 28, where a user is one number). What `standard_error` does
    for all users alike, G / (G - 1), is divided out.

    Args:
        part: (G,) share of each user in the weights of the mean.
        users: G of the divisor; None: those that weigh anything.
    """
    count = np.count_nonzero(part) if users is None else users
    free = 1 - 2 * part + np.sum(np.square(part))
    free = np.where(part < 1, free, 1.0)  # a single user is all of it, and deviates by nothing
    return np.sqrt((count - 1) / count / free)
