"""All metrics of one set of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.metrics._base import Metric, every
from ctrbench.metrics._influence import Influence
from ctrbench.metrics._scored import Scored
from ctrbench.schema import Metrics
from ctrbench.scratch import IN_MEMORY, Scratch


def evaluate(
    click: ArrayLike,
    p_click: ArrayLike,
    user_id: ArrayLike,
    weight: ArrayLike | None = None,
    group_id: ArrayLike | None = None,
    wanted: Sequence[Metric] | None = None,
    scratch: Scratch = IN_MEMORY,
) -> Metrics:
    """Return metrics of one set of predictions; a metric that is not defined is None.

    Args:
        click: (N,) int or bool, 1 for a click; N may be 0.
        p_click: (N,) float in [0, 1].
        user_id: (N,) int or str, the user of each impression.
        weight: (N,) float > 0, sample weights; counts ignore them.
        group_id: (N,) int, the evaluation group of each impression. Each group belongs to one user.
            By default all impressions of a user form one group.
        wanted: The metrics; None: `every()`.
        scratch: Provides arrays of N entries.

    Raises:
        DataError: An array is not valid.
        StoreError: The folder of `scratch` cannot be written, or the disk is full.
    """
    scored = Scored.of(click, p_click, user_id, weight, group_id, probability=True, scratch=scratch)
    grouped = scored.grouped
    carrying = grouped.evaluable_users
    if group_id is not None:
        carries = np.zeros(scored.users, bool)
        for rows in scored.blocks:
            carries[scored.user[rows][grouped.evaluable[scored.group[rows]]]] = True
        carrying = int(np.count_nonzero(carries))
    return Metrics.of(
        {metric.name: metric.value(scored) for metric in _chosen(wanted)},
        impressions=scored.rows,
        clicks=scored.clicks,
        users=scored.users,
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
    wanted: Sequence[Metric] | None = None,
    scratch: Scratch = IN_MEMORY,
) -> Mapping[str, Influence]:
    """Return influence values of the metrics that have them, users ascending by id.

    A metric is omitted if it is not defined because there is no click or no non-click, or if its
    variance over users is unknown because a single user carries it.

    Args:
        click: (N,) int or bool, 1 for a click.
        p_click: (N,) float in [0, 1].
        user_id: (N,) int, the user of each impression.
        weight: (N,) float > 0, sample weights.
        group_id: (N,) int, the evaluation group of each impression. Each group belongs to one user.
            By default all impressions of a user form one group.
        item_id: (N,) int, the item shown. Without it there are no influence values of items.
        wanted: The metrics; None: `every()`.
        scratch: Provides arrays of N entries.

    Raises:
        DataError: An array is not valid, lengths differ, or a group has impressions of two users.
        StoreError: The folder of `scratch` cannot be written, or the disk is full.
    """
    scored = Scored.of(click, p_click, user_id, weight, group_id, item_id, scratch=scratch)
    found = {metric.name: metric.influence(scored) for metric in _chosen(wanted)}
    return {name: influence for name, influence in found.items() if influence is not None}


def _chosen(wanted: Sequence[Metric] | None) -> Sequence[Metric]:
    return every() if wanted is None else wanted
