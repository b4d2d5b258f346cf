"""Metrics of the first k places of impression lists, averaged over lists."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._base import Metric
from ctrbench.metrics._influence import Influence, effective_size, leverage
from ctrbench.metrics._runs import starts, sums
from ctrbench.metrics._scored import Scored

CUTOFF = 10  # of a name without @k


class ListMetric(Metric):
    """The mean over impression lists of a value of the first k places.

    The lists are the evaluation groups if these are finer than users, such as requests. A list
    counts if it has both a click and a non-click, with the mean sample weight of its rows.
    """

    on_request = True
    within_groups = True
    has_cutoff = True
    requires = (
        "the data set has no impression lists (import it with --snapshot session and the column of "
        "the list as --snapshot-column), or no list has both a click and a non-click"
    )
    requires_for_interval = requires
    measure: ClassVar[str]  # display name without the cut-off

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.cutoff = int(name.partition("@")[2] or CUTOFF)
        self.title = f"{self.measure}@{self.cutoff}"

    @abstractmethod
    def of_lists(self, ranked: Ranked) -> np.ndarray:
        """Return the (G,) value of each list; entries of lists with one class are ignored."""

    def value(self, scored: Scored) -> float | None:
        """See `Metric`."""
        if scored.group_id is None or not scored.grouped.evaluable_users:
            return None
        values, share = self._of_lists(scored)
        return float(values @ share)

    def influence(self, scored: Scored) -> Influence | None:
        """See `Metric`; the linearised variance of a weighted mean over the lists of users.

        There are no influence values of items, because the value of a list is not a sum over
        items.
        """
        if scored.group_id is None or not scored.grouped.evaluable_users:
            return None
        values, share = self._of_lists(scored)
        value = float(values @ share)
        part = np.bincount(scored.owner, share, scored.users)
        moved = np.bincount(scored.owner, share * (values - value), scored.users)
        return Influence(value, leverage(part) * moved, effective_size(part))

    def _of_lists(self, scored: Scored) -> tuple[np.ndarray, np.ndarray]:
        """Return the (G,) value and the (G,) share of each list; shares sum to 1."""
        grouped = scored.grouped
        weight = grouped.evaluable * grouped.weight / grouped.impressions
        of_lists = [self.of_lists(Ranked(scored, rows, self.cutoff)) for rows in scored.of_groups()]
        values = np.where(grouped.evaluable, np.concatenate(of_lists), 0.0)
        return values, weight / weight.sum()


class Ranked:
    """N impressions in the order of their list and of descending predictions.

    Tied impressions form a run. Metrics are expectations over all orders of the rows of a run.
    """

    def __init__(self, scored: Scored, rows: slice | np.ndarray, cutoff: int) -> None:
        """Sort the impressions.

        Args:
            scored: The predictions.
            rows: The N impressions, all of their lists.
            cutoff: k, the number of places that count.
        """
        click, p, group = (of[rows] for of in (scored.click, scored.p_click, scored.group))
        order = np.lexsort((-p, group))
        group, p = group[order], p[order]
        self.cutoff = cutoff
        self.first = starts(group)  # (G,) first row of each list
        lengths = np.diff(self.first, append=len(p))
        self.place = np.arange(len(p)) - np.repeat(self.first, lengths)  # (N,) from 0
        self.run = np.flatnonzero(  # (R,) first row of each run
            (np.diff(group, prepend=-1) != 0) | (np.diff(p, prepend=0) != 0)
        )
        self.list_of_run = group[self.run] - group[:1]  # (R,) from 0
        self.rows = np.diff(self.run, append=len(p))  # (R,)
        self.clicks = sums(click[order].astype(np.int64), self.run)  # (R,)

    @property
    def lists(self) -> int:
        """Return G."""
        return len(self.first)


def scored_lists(
    click: ArrayLike, p_click: ArrayLike, list_id: ArrayLike, k: int, weight: ArrayLike | None
) -> Scored:
    """Return checked predictions in which each list is a user of its own.

    Args:
        click: (N,) 0 or 1.
        p_click: (N,) finite numbers.
        list_id: (N,) int or str.
        k: Number of places that count.
        weight: (N,) > 0 and finite, or None.

    Raises:
        DataError: An array is not valid, k is below 1, or no list has both a click and a non-click.
    """
    if k < 1:
        raise DataError(f"k is the number of places that count, at least 1; it is {k}.")
    scored = Scored.of(click, p_click, list_id, weight, list_id)
    if not scored.grouped.evaluable_users:
        raise DataError(
            f"none of {len(scored.grouped.auc)} impression lists has both a click and a non-click."
        )
    return scored
