"""GAUC with any weighting: its value and influence values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ctrbench.metrics._base import Metric
from ctrbench.metrics._grouped import Weighting
from ctrbench.metrics._influence import (
    Influence,
    Items,
    ItemSums,
    Sketch,
    effective_size,
    leverage,
)
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
        grouped = scored.grouped
        if not grouped.evaluable_users:
            return None
        value = grouped.gauc(self.weighting)
        share = grouped.weights(self.weighting) * grouped.evaluable
        deviation = np.where(grouped.evaluable, grouped.auc - value, 0.0)
        of_group = share / share.sum()
        part = np.bincount(scored.owner, of_group, scored.users)
        moved = np.bincount(scored.owner, of_group * deviation, scored.users)
        items = scored.sketch and self._items(scored, scored.sketch, value, of_group)
        return Influence(value, leverage(part) * moved, effective_size(part), items)

    def _items(self, scored: Scored, sketch: Sketch, value: float, of_group: np.ndarray) -> Items:
        """Return the influence values of items; `of_group`: (G,) share of each group."""
        grouped = scored.grouped
        mass = np.stack([grouped.weight - grouped.click_weight, grouped.click_weight])
        evaluable, sums = grouped.evaluable, ItemSums(sketch)
        for rows in scored.blocks:
            group = scored.group[rows]
            of_class = mass[scored.click[rows].astype(np.int64), group]
            mine = of_group[group] * scored.weights[rows] / of_class
            mine = np.where(evaluable[group], mine, 0.0)
            sums.add(rows, mine * (scored.place[rows] - value), mine / 2)
        return sums.items()
