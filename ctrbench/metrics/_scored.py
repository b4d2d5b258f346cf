"""One set of predictions with what several metrics need of it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ctrbench.errors import DataError
from ctrbench.metrics._checks import checked, checked_users
from ctrbench.metrics._grouped import GroupedAuc, grouped_of
from ctrbench.metrics._influence import Sketch, owners, places


@dataclass(frozen=True)
class Scored:
    """N impressions with their predictions, checked; derived arrays are computed when first used.

    G is the number of evaluation groups, U the number of users.
    """

    click: np.ndarray  # (N,) bool
    p_click: np.ndarray  # (N,) float32 or float64
    user_id: np.ndarray  # (N,)
    weight: np.ndarray | None  # (N,) float64, > 0
    group_id: np.ndarray | None  # (N,) None: the groups are the users
    item_id: np.ndarray | None  # (N,) None: nothing is said of items

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
        """Return checked arrays.

        Args:
            click: (N,) 0 or 1.
            p_click: (N,) finite; with `probability` in [0, 1].
            user_id: (N,) integers or strings, who saw the impression.
            weight: (N,) > 0, sample weights.
            group_id: (N,) integers or strings, the impressions that GAUC compares with each other,
                each group within one user; None: all impressions of a user.
            item_id: (N,) integers or strings, what was shown; None: no item sums are computed.
            probability: Whether predictions outside [0, 1] are refused.

        Raises:
            DataError: An array is unfit, or lengths differ.
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
        """N."""
        return len(self.p_click)

    @cached_property
    def clicks(self) -> int:
        """Number of clicked rows."""
        return int(self.click.sum())

    @cached_property
    def weights(self) -> np.ndarray:
        """(N,) float64 sample weights; ones without."""
        return np.ones(self.rows) if self.weight is None else self.weight

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) evaluation group of each row."""
        return self.user_id if self.group_id is None else self.group_id

    @cached_property
    def grouped(self) -> GroupedAuc:
        """AUC of every evaluation group."""
        return grouped_of(self.click, self.p_click, self.groups, self.weight)

    @cached_property
    def _users(self) -> tuple[np.ndarray, np.ndarray]:
        names, user = np.unique(self.user_id, return_inverse=True)
        return names, user

    @property
    def users(self) -> int:
        """U."""
        return len(self._users[0])

    @property
    def user(self) -> np.ndarray:
        """(N,) int64 in [0, U), ascending with the user id."""
        return self._users[1]

    @cached_property
    def group(self) -> np.ndarray:
        """(N,) int64 in [0, G), ascending with the group id."""
        return np.searchsorted(self.grouped.user_id, self.groups)

    @cached_property
    def owner(self) -> np.ndarray:
        """(G,) user of each group.

        Raises:
            DataError: A group holds impressions of two users.
        """
        return owners(self.group, self.user, len(self.grouped.user_id))

    @cached_property
    def place(self) -> np.ndarray:
        """(N,) share of its group's other class that a row outranks (clicks) or falls behind."""
        return places(self.click, self.p_click, self.weights, self.group)

    @cached_property
    def sketch(self) -> Sketch | None:
        """Sums by item, and by pair of user and item; None without items."""
        return None if self.item_id is None else Sketch.of(self.user_id, self.item_id)
