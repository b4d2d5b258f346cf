"""One set of predictions with the derived arrays that several metrics share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ctrbench import arrays
from ctrbench.arrays import blocks
from ctrbench.errors import DataError
from ctrbench.metrics._checks import checked, checked_users
from ctrbench.metrics._grouped import GroupedAuc, grouped_of
from ctrbench.metrics._influence import Sketch, owners, places
from ctrbench.metrics._runs import distinct
from ctrbench.scratch import IN_MEMORY, Scratch, rows_by_code, sorted_rows


@dataclass(frozen=True)
class Scored:
    """N checked impressions with predictions. Derived arrays are computed on first use.

    G is the number of evaluation groups, U the number of users. Temporary arrays of the derivations
    cover `arrays.BLOCK_ROWS` impressions, or those of one group if it has more.
    """

    click: np.ndarray  # (N,) bool
    p_click: np.ndarray  # (N,) float32 or float64
    user_id: np.ndarray  # (N,)
    weight: np.ndarray | None  # (N,) float64, > 0
    group_id: np.ndarray | None  # (N,); None: the users are the groups
    item_id: np.ndarray | None  # (N,); None: no item sums
    scratch: Scratch = IN_MEMORY  # provides the derived arrays of N entries

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
        scratch: Scratch = IN_MEMORY,
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
            scratch: Provides arrays of N entries.

        Raises:
            DataError: An array is not valid, or lengths differ.
        """
        clicks, p, weights = checked(click, p_click, weight, probability, scratch)
        users = checked_users(user_id, len(p))
        groups = None if group_id is None else checked_users(group_id, len(p))
        items = None if item_id is None else np.asarray(item_id)
        if items is not None and items.shape != p.shape:
            raise DataError(
                f"item_id must have one entry per row: {len(p)}; its shape is {items.shape}."
            )
        return cls(clicks, p, users, weights, groups, items, scratch)

    @property
    def rows(self) -> int:
        """Return N."""
        return len(self.p_click)

    @property
    def blocks(self) -> Iterator[slice]:
        """Yield slices that cover the rows, each of at most `arrays.BLOCK_ROWS`."""
        return blocks(self.rows)

    @cached_property
    def clicks(self) -> int:
        """Return the number of clicked rows."""
        return int(np.count_nonzero(self.click))

    @cached_property
    def weights(self) -> np.ndarray:
        """Return (N,) float64 sample weights; ones if there are none."""
        return np.broadcast_to(np.ones(()), self.rows) if self.weight is None else self.weight

    def total(self, parts: Iterable[np.ndarray], count: int) -> float:
        """Return the sum of values that come in blocks, as numpy sums one array of them.

        Args:
            parts: Consecutive float values.
            count: Their number.

        Raises:
            StoreError: The folder of `scratch` cannot be written, or the disk is full.
        """
        return float(self.scratch.filled(count, np.float64, parts).sum())

    @cached_property
    def groups(self) -> np.ndarray:
        """Return the (N,) evaluation group of each row."""
        return self.user_id if self.group_id is None else self.group_id

    @cached_property
    def grouped(self) -> GroupedAuc:
        """Return the AUC of every evaluation group."""
        found = [
            grouped_of(
                self.click[rows],
                self.p_click[rows],
                self.group[rows],
                None if self.weight is None else self.weight[rows],
            )
            for rows in self.of_groups()
        ]
        return GroupedAuc.joined(found, self._groups[0])

    def of_groups(self) -> Iterator[slice | np.ndarray]:
        """Yield the rows of consecutive groups, about `arrays.BLOCK_ROWS` at a time.

        The rows of each group ascend.
        """
        if self.rows <= arrays.BLOCK_ROWS:
            yield slice(0, self.rows)
        else:
            yield from rows_by_code(self._by_group)

    @cached_property
    def _by_group(self) -> np.ndarray:
        return sorted_rows(self.group, self.scratch)

    @cached_property
    def _users(self) -> tuple[np.ndarray, np.ndarray]:
        return distinct(self.user_id, self.scratch)

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray]:
        return self._users if self.group_id is None else distinct(self.group_id, self.scratch)

    @property
    def users(self) -> int:
        """Return U."""
        return len(self._users[0])

    @property
    def user(self) -> np.ndarray:
        """Return the (N,) int32 user in [0, U), in the order of user ids."""
        return self._users[1]

    @property
    def group(self) -> np.ndarray:
        """Return the (N,) int32 group in [0, G), in the order of group ids."""
        return self._groups[1]

    @cached_property
    def owner(self) -> np.ndarray:
        """Return the (G,) user of each group.

        Raises:
            DataError: A group has impressions of two users.
        """
        return owners(self.group, self.user, len(self._groups[0]))

    @cached_property
    def place(self) -> np.ndarray:
        """Return the (N,) placement value of each row within its group, see `places`."""
        place = self.scratch.empty(self.rows, np.float64)
        for rows in self.of_groups():
            own = self.click[rows], self.p_click[rows], self.weights[rows]
            place[rows] = places(*own, self.group[rows])
        return place

    @cached_property
    def sketch(self) -> Sketch | None:
        """Return the item and bucket of each row; None without item ids."""
        return None if self.item_id is None else Sketch.of(self.user_id, self.item_id, self.scratch)
