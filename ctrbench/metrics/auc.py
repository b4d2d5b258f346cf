"""`auc`: the probability that a click ranks above a non-click, over all impressions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._checks import checked
from ctrbench.metrics._influence import Influence, effective_size, leverage, places
from ctrbench.metrics._ranked import RankedAuc
from ctrbench.metrics._scored import Scored


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
    yes, no = np.sort(p[clicks]), np.sort(p[~clicks])
    few, many = (yes, no) if len(yes) < len(no) else (no, yes)
    below = (np.searchsorted(many, few, side).sum(dtype=np.int64) for side in ("left", "right"))
    share = sum(map(int, below)) / (2 * len(few) * len(many))
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
        return auc(scored.click, scored.p_click, scored.weight) if defined else None

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; None if all clicks, or all non-clicks, belong to one user.

        The influence of a row follows from its placement value. Each class is centred on its own
        mean. If all users have the same weight, the leverage is the
        factor n / (n - 1) of Obuchowski's variance, where n users have an impression of the class.
        The class with the smaller effective number of users determines `effective_users`.

        Source: Obuchowski 1997, Biometrics 53.
        """
        click, user, users = scored.click, scored.user, scored.users
        carriers = [np.count_nonzero(np.bincount(user[own])) for own in (click, ~click)]
        if min(carriers) < 2:
            return None
        weights = scored.weights
        place = places(click, scored.p_click, weights, scored.rising)
        value = float(np.average(place[click], weights=weights[click]))
        clicked, other = (float(weights[own].sum()) for own in (click, ~click))
        share = weights / np.where(click, clicked, other)
        per_user, effective = np.zeros(users), float(users)
        for of_class in (click, ~click):
            own = user[of_class]
            part = np.bincount(own, share[of_class], users)
            moved = np.bincount(own, share[of_class] * (place[of_class] - value), users)
            per_user += leverage(part, users) * moved
            effective = min(effective, effective_size(part))
        items = scored.sketch and scored.sketch.items(share * (place - value), share / 2)
        return Influence(value, per_user, effective, items)
