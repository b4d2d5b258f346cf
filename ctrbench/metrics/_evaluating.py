"""All metrics of one set of predictions at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics._base import every
from ctrbench.metrics._influence import Influence
from ctrbench.metrics._scored import Scored
from ctrbench.schema import Metrics


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
    scored = Scored.of(click, p_click, user_id, weight, group_id, probability=True)
    grouped = scored.grouped
    shown, carrying = len(grouped.auc), grouped.evaluable_users
    if group_id is not None:
        users = scored.user_id
        carries = np.isin(scored.groups, grouped.user_id[grouped.evaluable])
        shown, carrying = len(np.unique(users)), len(np.unique(users[carries]))
    return Metrics.of(
        {metric.name: metric.value(scored) for metric in every()},
        impressions=scored.rows,
        clicks=scored.clicks,
        users=shown,
        evaluable_users=carrying,
        evaluable_impressions=grouped.evaluable_impressions,
    )


def influences(
    click: ArrayLike,
    p_click: ArrayLike,
    user_id: ArrayLike,
    weight: ArrayLike | None = None,
    group_id: ArrayLike | None = None,
    item_id: ArrayLike | None = None,
) -> Mapping[str, Influence]:
    """Return influence values of every metric that has them, users ascending by id.

    A metric is left out where it is not defined, for want of a click or a non-click, or where its
    variance over users is unknown because one user carries it.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) in [0, 1].
        user_id: (N,) who saw the impression: any integers.
        weight: (N,) > 0.
        group_id: (N,) integers, the impressions that GAUC compares with each other, each group
            within one user; None: all of a user's.
        item_id: (N,) integers, what was shown; None: nothing is said of items.

    Raises:
        DataError: An array is unfit, lengths differ, or a group holds impressions of two users.
    """
    scored = Scored.of(click, p_click, user_id, weight, group_id, item_id)
    found = {metric.name: metric.influence(scored) for metric in every()}
    return {name: influence for name, influence in found.items() if influence is not None}
