"""Comparison of two models on the same impressions, from their predictions alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError, UnknownNameError, raise_all
from ctrbench.metrics import Influence, Scored, comparable
from ctrbench.stats.contrast import Measured, pair
from ctrbench.stats.family import Inference, infer


def compare_predictions(
    click: ArrayLike,
    user_id: ArrayLike,
    p_click: ArrayLike,
    p_reference: ArrayLike,
    metric: str = "gauc",
    weight: ArrayLike | None = None,
    *,
    item_id: ArrayLike | None = None,
    group_id: ArrayLike | None = None,
) -> Inference:
    """Return the difference of a metric between two models, with its 95 % confidence interval.

    The interval accounts for user variance, with `item_id` for item variance, and with two seeds or
    more for seed variance. `Inference.variance.with_items` states whether it accounts for items.

    Args:
        click: (N,) int or bool, 1 for a click.
        user_id: (N,) int or str, the user of each impression.
        p_click: (N,) or (S, N) float, predictions of S seeds.
        p_reference: Of the same shape, predictions of the reference; row s is of the same seed.
        metric: Name of a metric with intervals, such as `gauc` or `ndcg@5`.
        weight: (N,) float > 0, sample weights.
        item_id: (N,) int or str, the item shown. Without it the interval is conditional on the
            items of the test set.
        group_id: (N,) int, the evaluation group of each impression. Each group belongs to one user.
            By default all impressions of a user form one group.

    Raises:
        DataError: Shapes differ, a group has impressions of two users, predictions are constant or
            NaN, the metric needs probabilities and they lie outside [0, 1], or the metric is
            unknown or not defined.

    >>> click, user = [1, 0, 1, 0, 0, 1], [1, 1, 2, 2, 3, 3]
    >>> found = compare_predictions(click, user, [.9, .1, .8, .2, .1, .7], [.9, .1, .2, .8, .1, .7])
    >>> round(found.estimate, 4)
    0.3333
    """
    clicks, users = np.asarray(click), np.asarray(user_id)
    more = {"item_id": item_id, "group_id": group_id}
    columns = {name: np.asarray(ids) for name, ids in more.items() if ids is not None}
    ours, theirs = (np.atleast_2d(np.asarray(p)) for p in (p_click, p_reference))
    problems: list[str] = []
    judged_by = None
    try:
        judged_by = comparable(metric)
    except UnknownNameError as error:
        problems.append(str(error))
    if ours.shape != theirs.shape:
        problems.append(f"p_click has shape {ours.shape}, p_reference {theirs.shape}")
    if ours.shape[-1:] != clicks.shape or clicks.shape != users.shape:
        problems.append(
            f"there are {ours.shape[-1]} predictions, {len(clicks)} clicks, {len(users)} users"
        )
    problems += [
        f"{name} has shape {ids.shape}; it must be {clicks.shape}, one entry per click"
        for name, ids in columns.items()
        if ids.shape != clicks.shape
    ]
    for name, predictions in (("p_click", ours), ("p_reference", theirs)):
        for seed, row in enumerate(predictions):
            if row.size and np.all(row == row[0]):
                problems.append(f"{name} of seed {seed} is constant ({row[0]:g})")
            outside = int(((row < 0) | (row > 1)).sum())
            if outside and judged_by and judged_by.needs_probabilities:
                problems.append(
                    f"{name} of seed {seed} lies outside [0, 1] in {outside} rows: {metric} needs "
                    "probabilities"
                )
    raise_all(problems, DataError, "these predictions cannot be compared:")
    assert judged_by is not None
    sides = [
        [
            judged_by.influence(
                Scored.of(clicks, p, users, weight, columns.get("group_id"), columns.get("item_id"))
            )
            for p in arm
        ]
        for arm in (ours, theirs)
    ]
    arm, reference = (_measured(side) for side in sides)
    contrast = arm and reference and pair(arm, reference)
    if not contrast:
        raise DataError(
            f"{metric} is not defined here, or has no interval: {judged_by.requires_for_interval}."
        )
    (found,) = infer([contrast])
    if math.isnan(found.low):
        raise DataError(
            f"{metric} has no interval: a single user carries the difference, or no user differs."
        )
    return found


def _measured(seeds: list[Influence | None]) -> Measured | None:
    """Return the metric by seed; None if it is not defined, which holds for all seeds or none."""
    found = {seed: one for seed, one in enumerate(seeds) if one is not None}
    if not found:
        return None
    return Measured(
        name="",
        values={seed: one.value for seed, one in found.items()},
        influence={seed: one.per_user for seed, one in found.items()},
        effective_users=found[0].effective_users,
        items={seed: one.items.per_item for seed, one in found.items() if one.items},
        pairs={seed: one.items.pairs for seed, one in found.items() if one.items},
        effective_items=min(
            (one.items.effective for one in found.values() if one.items), default=math.inf
        ),
        items_each=next((one.items.each for one in found.values() if one.items), 2),
    )
