"""`auc`: the probability that a click ranks above a non-click, over all impressions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.arrays import blocks
from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._influence import Influence, ItemSums, effective_size, leverage, places_in_all
from ctrbench.metrics._ranked import RankedAuc
from ctrbench.metrics._scored import Scored
from ctrbench.scratch import IN_MEMORY, Scratch


def auc(click: ArrayLike, p_click: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the probability that a click ranks above a non-click; ties count one half.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float, predicted click probability. Only the order matters.
        weight: (N,) float > 0; a pair of rows counts with the product of their weights.

    Returns:
        A fraction in [0, 1]; 0.5 is chance level.

    Raises:
        DataError: An array is not valid, or there is no click or no non-click.

    >>> auc([1, 0, 1, 0], [.9, .1, .4, .4])
    0.875
    """
    clicks, p, weights = checked(click, p_click, weight)
    if not 0 < clicks.sum() < len(clicks):
        raise DataError(
            f"AUC needs a click and a non-click; {clicks.sum()} of {len(clicks)} rows are clicks."
        )
    if weights is not None:
        return RankedAuc(clicks, p).auc(weights)
    return _share_above(clicks, p)


def _share_above(clicks: np.ndarray, p: np.ndarray, scratch: Scratch = IN_MEMORY) -> float:
    """Return the share of pairs whose click is above the non-click, for rows of both classes."""
    yes, no = (
        scratch.filled(
            int(np.count_nonzero(clicks == of_class)),
            p.dtype,
            (p[part][clicks[part] == of_class] for part in blocks(len(p))),
        )
        for of_class in (True, False)
    )
    yes.sort()
    no.sort()
    few, many = (yes, no) if len(yes) < len(no) else (no, yes)
    below = sum(
        int(np.searchsorted(many, few[part], side).sum(dtype=np.int64))
        for part in blocks(len(few))
        for side in ("left", "right")
    )
    share = below / (2 * len(few) * len(many))
    return share if few is yes else 1 - share


class Auc(Metric):
    """AUC over pairs of impressions of all users."""

    title = "AUC"
    judged = True
    chance = 0.5
    requires = "there are not both a click and a non-click"
    requires_for_interval = "all clicks, or all other impressions, are one user's"

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        defined = 0 < scored.clicks < scored.rows
        if not defined:
            return None
        if scored.weight is not None:
            return RankedAuc(scored.click, scored.p_click, scored.scratch).auc(scored.weight)
        return _share_above(scored.click, scored.p_click, scored.scratch)

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; None if all clicks, or all non-clicks, belong to one user.

        The influence of a row follows from its placement value. Each class is centred on its own
        mean. If all users have the same weight, the leverage is the
        factor n / (n - 1) of Obuchowski's variance, where n users have an impression of the class.
        The class with the smaller effective number of users determines `effective_users`.

        Source: Obuchowski 1997, Biometrics 53.
        """
        click, user, users = scored.click, scored.user, scored.users
        carries = np.zeros((2, users), bool)
        for rows in scored.blocks:
            carries[click[rows].astype(np.int64), user[rows]] = True
        if carries.sum(1).min() < 2:
            return None
        totals = _total(scored, False), _total(scored, True)
        place = places_in_all(click, scored.p_click, scored.weights, totals, scored.scratch)
        value = _total(scored, True, place) / totals[True]
        part, moved = np.zeros(2 * users), np.zeros(2 * users)  # of non-clicks, then of clicks
        sums = scored.sketch and ItemSums(scored.sketch)
        for rows in scored.blocks:
            own, clicked = user[rows], click[rows]
            share = scored.weights[rows] / np.where(clicked, totals[True], totals[False])
            change = share * (place[rows] - value)
            at = own + users * clicked.astype(np.int64)
            np.add.at(part, at, share)
            np.add.at(moved, at, change)
            if sums is not None:
                sums.add(rows, change, share / 2)
        per_user, effective = np.zeros(users), float(users)
        for of_class in (slice(users, None), slice(users)):
            per_user += leverage(part[of_class], users) * moved[of_class]
            effective = min(effective, effective_size(part[of_class]))
        return Influence(value, per_user, effective, sums and sums.items())


def _total(scored: Scored, of_class: bool, values: np.ndarray | None = None) -> float:
    """Return the sum of the weights of a class, times (N,) values if given."""
    count = scored.clicks if of_class else scored.rows - scored.clicks
    if values is None and scored.weight is None:
        return float(count)

    def parts() -> Iterator[np.ndarray]:
        for rows in scored.blocks:
            own = scored.click[rows] == of_class
            weights = scored.weights[rows][own]
            yield weights if values is None else weights * values[rows][own]

    return scored.total(parts(), count)
