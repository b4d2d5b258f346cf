"""GAUC with any weighting: its value and influence values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ctrbench.metrics._base import Metric
from ctrbench.metrics._grouped import Weighting
from ctrbench.metrics._influence import Influence, effective_size, leverage
from ctrbench.metrics._scored import Scored


class WeightedGauc(Metric):
    """The weighted mean of per-group AUC over evaluable groups."""

    within_groups = True
    chance = 0.5
    requires = "no user has both a click and a non-click"
    requires_for_interval = "no user has a click and a non-click"
    weighting: ClassVar[Weighting]

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        grouped = scored.grouped
        return grouped.gauc(self.weighting) if grouped.evaluable_users else None

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; a user with one class only has influence 0.

        Source: The linearised variance of a weighted mean. For items the units are pairs of a click
        and a non-click, and each pair counts for both of its items.
        """
        grouped, click, group = scored.grouped, scored.click, scored.group
        if not grouped.evaluable_users:
            return None
        value = grouped.gauc(self.weighting)
        share = grouped.weights(self.weighting) * grouped.evaluable
        deviation = np.where(grouped.evaluable, grouped.auc - value, 0.0)
        of_group = share / share.sum()
        part = np.bincount(scored.owner, of_group, scored.users)
        moved = np.bincount(scored.owner, of_group * deviation, scored.users)
        items = None
        if scored.sketch is not None:
            mass = np.stack([grouped.weight - grouped.click_weight, grouped.click_weight])
            mine = of_group[group] * scored.weights / mass[click.astype(np.int64), group]
            mine = np.where(grouped.evaluable[group], mine, 0.0)
            items = scored.sketch.items(mine * (scored.place - value), mine / 2)
        return Influence(value, leverage(part) * moved, effective_size(part), items)
