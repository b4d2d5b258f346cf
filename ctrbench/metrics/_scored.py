"""One set of predictions with the derived arrays that several metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._checks import checked, checked_users
from ctrbench.metrics._grouped import GroupedAuc, grouped_of
from ctrbench.metrics._influence import Sketch, owners, places
from ctrbench.metrics._runs import ascending, distinct


@dataclass(frozen=True)
class Scored:
    """N checked impressions with predictions. Derived arrays are computed on first use.

    G is the number of evaluation groups, U the number of users.
    """

    click: np.ndarray  # (N,) bool
    p_click: np.ndarray  # (N,) float32 or float64
    user_id: np.ndarray  # (N,)
    weight: np.ndarray | None  # (N,) float64, > 0
    group_id: np.ndarray | None  # (N,); None: the users are the groups
    item_id: np.ndarray | None  # (N,); None: no item sums

    @classmethod
    def of(
        cls,
        click: ArrayLike,
        p_click: ArrayLike,
        user_id: ArrayLike,
        weight: ArrayLike | None = None,
        group_id: ArrayLike | None = None,
        item_id: ArrayLike | None = None,
        *,
        probability: bool = False,
    ) -> Scored:
        """Return a set of predictions after validation of its arrays.

        Args:
            click: (N,) int or bool, 1 for a click.
            p_click: (N,) float, finite; in [0, 1] if `probability` is set.
            user_id: (N,) int or str, the user of each impression.
            weight: (N,) float > 0, sample weights.
            group_id: (N,) int or str, the evaluation group of each impression. Each group belongs
                to one user. By default all impressions of a user form one group.
            item_id: (N,) int or str, the item shown. Without it there are no item sums.
            probability: Whether predictions outside [0, 1] are an error.

        Raises:
            DataError: An array is not valid, or lengths differ.
        """
        clicks, p, weights = checked(click, p_click, weight, probability)
        users = checked_users(user_id, len(p))
        groups = None if group_id is None else checked_users(group_id, len(p))
        items = None if item_id is None else np.asarray(item_id)
        if items is not None and items.shape != p.shape:
            raise DataError(
                f"item_id must have one entry per row: {len(p)}; its shape is {items.shape}."
            )
        return cls(clicks, p, users, weights, groups, items)

    @property
    def rows(self) -> int:
        """Return N."""
        return len(self.p_click)

    @cached_property
    def clicks(self) -> int:
        """Return the number of clicked rows."""
        return int(self.click.sum())

    @cached_property
    def weights(self) -> np.ndarray:
        """Return (N,) float64 sample weights; ones if there are none."""
        return np.ones(self.rows) if self.weight is None else self.weight

    @cached_property
    def groups(self) -> np.ndarray:
        """Return the (N,) evaluation group of each row."""
        return self.user_id if self.group_id is None else self.group_id

    @cached_property
    def grouped(self) -> GroupedAuc:
        """Return the AUC of every evaluation group."""
        return grouped_of(self.click, self.p_click, self.groups, self.weight)

    @cached_property
    def _users(self) -> tuple[np.ndarray, np.ndarray]:
        return distinct(self.user_id)

    @property
    def users(self) -> int:
        """Return U."""
        return len(self._users[0])

    @property
    def user(self) -> np.ndarray:
        """Return the (N,) int64 user in [0, U), in the order of user ids."""
        return self._users[1]

    @cached_property
    def group(self) -> np.ndarray:
        """Return the (N,) int64 group in [0, G), in the order of group ids."""
        return self.user if self.group_id is None else distinct(self.group_id)[1]

    @cached_property
    def owner(self) -> np.ndarray:
        """Return the (G,) user of each group.

        Raises:
            DataError: A group has impressions of two users.
        """
        return owners(self.group, self.user, len(self.grouped.user_id))

    @cached_property
    def rising(self) -> np.ndarray:
        """Return the (N,) int64 rows in ascending order of prediction; equal ones as stored."""
        return ascending(self.p_click)

    @cached_property
    def place(self) -> np.ndarray:
        """Return the (N,) placement value of each row, see `places`."""
        return places(self.click, self.p_click, self.weights, self.rising, self.group)

    @cached_property
    def sketch(self) -> Sketch | None:
        """Return the item and bucket of each row; None without item ids."""
        return None if self.item_id is None else Sketch.of(self.user_id, self.item_id)
