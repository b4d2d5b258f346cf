"""The users whose ranking an arm changes most, from stored predictions, averaged over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ctrbench.metrics import grouped_auc
from ctrbench.plan import Column, Matrix, Row
from ctrbench.schema import CellRecord, Impressions
from ctrbench.store import Store
from ctrbench.workspace import Workspace

EACH = 3  # number of users with the largest gains, and with the largest losses
FEWEST_PAIRS = 6  # (click, non-click) pairs; with fewer, one pair decides a user's AUC
HISTORY, SHOWN = 8, 8  # items per user


@dataclass(frozen=True)
class Ranked:
    """One item shown to a user, with the predictions of both models."""

    item: int
    click: bool
    before: float  # p_click of the baseline
    after: float
    rank_before: int  # among the user's impressions, 1 is best
    rank_after: int


@dataclass(frozen=True)
class ChangedUser:
    """One evaluation group, its AUC under both models, and the items behind it."""

    user: int
    before: float  # AUC of the baseline
    after: float
    error: float | None  # standard error of the change over seeds; None: one seed
    history: tuple[int, ...]  # the latest clicks, oldest first
    items: tuple[Ranked, ...]  # the top-ranked and clicked items, in the order of the arm
    impressions: int  # total number

    @property
    def change(self) -> float:
        """Return the change of AUC, a fraction."""
        return self.after - self.before


@dataclass(frozen=True)
class ChangedUsers:
    """The users with the largest gains and losses under one arm."""

    row: Row
    column: Column
    seeds: tuple[int, ...]
    improved: tuple[ChangedUser, ...]
    fell: tuple[ChangedUser, ...]

    @property
    def label(self) -> str:
        """Return the display name of the arm."""
        return f"{self.row.label} / {self.column.label}"


def changed_users(
    workspace: Workspace,
    matrix: Matrix,
    records: Mapping[str, CellRecord],
    log: Impressions,
    place: tuple[Row, Column],
) -> ChangedUsers | None:
    """Return the users that an arm changes most; None if predictions are not stored.

    Users are ordered by the absolute mean change over seeds minus its standard error. A change that
    other seeds do not reproduce therefore ranks low.

    Args:
        workspace: The workspace that holds the predictions.
        matrix: The checked matrix.
        records: The stored records of its cells, by cell hash.
        log: The data set.
        place: The row and the column of the arm.

    Raises:
        StoreError: Predictions are damaged.
    """
    row, column = place
    store, rows = Store(workspace), log.rows("test")
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    seeds: list[int] = []
    for seed in matrix.file.seeds:
        pair = [matrix.cell(row, column, seed), matrix.cell(None, column, seed)]
        if not all(c.hash in records and records[c.hash].status == "done" for c in pair):
            continue
        both = [store.predictions(cell, "test") for cell in pair]
        if both[0] is None or both[1] is None or len(both[0]) != rows.stop - rows.start:
            continue
        ours.append(both[0])
        theirs.append(both[1])
        seeds.append(seed)
    if not seeds:
        return None
    click, group = np.asarray(log.click[rows]), np.asarray(log.group_id[rows])
    after, before = (
        np.stack([grouped_auc(click, p, group).auc for p in side]) for side in (ours, theirs)
    )  # (S, G)
    counts = grouped_auc(click, ours[0], group)
    groups = np.asarray(counts.user_id)
    pairs = counts.clicks * (counts.impressions - counts.clicks)
    change = (after - before).mean(axis=0)
    error = (after - before).std(axis=0, ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else None
    sure = np.abs(change) - (0 if error is None else error)
    enough = pairs >= min(FEWEST_PAIRS, int(pairs.max(initial=0)))
    fit = np.flatnonzero(enough & np.isfinite(change) & (sure > 0))
    order = fit[np.argsort(-sure[fit], kind="stable")]
    p_after, p_before = np.mean(ours, axis=0), np.mean(theirs, axis=0)

    def described(places: Iterable[int]) -> tuple[ChangedUser, ...]:
        found: list[ChangedUser] = []
        for at in places:
            own = np.flatnonzero(group == groups[at])
            best = own[np.argsort(-p_after[own], kind="stable")]
            first = rows.start + int(own[0])
            stop = int(log.history_start[first] + log.history_length[first])
            start = max(int(log.history_start[first]), stop - HISTORY)
            found.append(
                ChangedUser(
                    user=int(log.user_id[first]),
                    before=float(before[:, at].mean()),
                    after=float(after[:, at].mean()),
                    error=None if error is None else float(error[at]),
                    history=tuple(int(item) for item in log.history_items[start:stop]),
                    items=tuple(
                        Ranked(
                            int(log.item_id[rows.start + one]),
                            bool(click[one]),
                            float(p_before[one]),
                            float(p_after[one]),
                            int((p_before[own] > p_before[one]).sum()) + 1,
                            int((p_after[own] > p_after[one]).sum()) + 1,
                        )
                        for one in _chosen(best, click)
                    ),
                    impressions=len(own),
                )
            )
        return tuple(found)

    up = [at for at in order.tolist() if change[at] > 0][:EACH]
    down = [at for at in order.tolist() if change[at] < 0][:EACH]
    return ChangedUsers(row, column, tuple(seeds), described(up), described(down))


def _chosen(best: np.ndarray, click: np.ndarray) -> np.ndarray:
    """Return the impressions to show, in the order of the arm; at most half of them are clicked."""
    clicked = best[click[best] == 1][: SHOWN // 2]
    others = best[click[best] == 0][: SHOWN - len(clicked)]
    return best[np.isin(best, np.concatenate([clicked, others]))]
