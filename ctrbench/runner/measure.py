"""Measure a cell's predictions: metrics and influence values of the test period and its slices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ctrbench import impressions
from ctrbench.arrays import blocks
from ctrbench.batches.slots import HistorySlots
from ctrbench.metrics import Metric, distinct, evaluate, find, influences, judged
from ctrbench.schema import Impressions, Metrics
from ctrbench.scratch import IN_MEMORY, Scratch
from ctrbench.slices import Slice, mask
from ctrbench.workspace import Workspace

WHOLE = "test"  # key of the whole test period; slices have their own keys


def evaluate_period(
    log: Impressions,
    period: str,
    p_click: np.ndarray,
    wanted: Sequence[Metric] | None = None,
    scratch: Scratch = IN_MEMORY,
) -> Metrics:
    """Return the metrics of one period's predictions.

    Args:
        log: The opened data set.
        period: `valid` or `test`.
        p_click: (n,) float, predicted click probability of each impression of the period.
        wanted: The metrics; None: those of every cell.
        scratch: Provides arrays with one entry per impression.
    """
    rows = log.rows(period)
    weight = None if log.weight is None else log.weight[rows]
    groups = None if log.group is None else log.group[rows]
    return evaluate(log.click[rows], p_click, log.user_id[rows], weight, groups, wanted, scratch)


def of_ranking(metrics: Metrics) -> Metrics:
    """Return the metrics of scores: those that need probabilities are not defined."""
    return metrics.merged({name: None for name in metrics.values if find(name).needs_probabilities})


@dataclass(frozen=True)
class _Part:
    """The impressions of the test period, or of a slice of it, with their predictions."""

    click: np.ndarray  # (n,)
    p_click: np.ndarray  # (n,)
    user_id: np.ndarray  # (n,)
    item_id: np.ndarray  # (n,)
    weight: np.ndarray | None  # (n,)
    group_id: np.ndarray | None  # (n,), finer than users; None: the users are the groups

    @classmethod
    def of(
        cls, log: Impressions, p_click: np.ndarray, chosen: np.ndarray | None, scratch: Scratch
    ) -> _Part:
        """Return some impressions of the test period.

        Args:
            log: The opened data set.
            p_click: (N,) float, predictions of the test period.
            chosen: (N,) bool; None: all.
            scratch: Provides the arrays of a slice.
        """
        rows = log.rows(WHOLE)

        def of_part(column: np.ndarray) -> np.ndarray:
            if chosen is None:
                return column
            parts = (column[part][chosen[part]] for part in blocks(len(chosen)))
            return scratch.filled(int(np.count_nonzero(chosen)), column.dtype, parts)

        return cls(
            of_part(log.click[rows]),
            of_part(p_click),
            of_part(log.user_id[rows]),
            of_part(log.item_id[rows]),
            None if log.weight is None else of_part(log.weight[rows]),
            None if log.group is None else of_part(log.group[rows]),
        )


def slice_metrics(
    workspace: Workspace,
    slots: HistorySlots,
    p_click: np.ndarray,
    wanted: Iterable[Slice],
    metrics: Sequence[Metric] | None = None,
) -> dict[str, Metrics]:
    """Return the metrics of each slice of the test period, by its key.

    Args:
        workspace: The workspace of the data set.
        slots: The opened data set with its history slots.
        p_click: (n,) float, predictions of the test period.
        wanted: The slices to measure.
        metrics: The metrics; None: those of every cell.
    """
    log, scratch, found = slots.impressions, scratch_of(workspace), {}
    for key, chosen in _masks(workspace, slots, wanted):
        own = _Part.of(log, p_click, chosen, scratch)
        of_part = (own.click, own.p_click, own.user_id, own.weight, own.group_id)
        found[key] = evaluate(*of_part, metrics, scratch)
    return found


def user_influences(
    workspace: Workspace,
    slots: HistorySlots,
    p_click: np.ndarray,
    wanted: Iterable[Slice],
    metrics: Sequence[Metric] | None = None,
) -> dict[str, np.ndarray]:
    """Return the influence values of the whole test period and of each slice.

    Args:
        workspace: The workspace of the data set.
        slots: The opened data set with its history slots.
        p_click: (n,) float, predictions of the test period.
        wanted: The slices to measure.
        metrics: The metrics; None: those of every cell.

    Returns:
        Float arrays by key. The key of the whole period is `test`.

        - `<slice key>/<metric>`: (G,), one value per test user, ascending by id; 0 for users
          outside the slice.
        - `<slice key>/<metric>/worth`: (1,), the effective number of users.
        - `<slice key>/<metric>/items`, `…/pairs`, `…/items_worth`, for judged and requested metrics
          only: (I,) values per test item, the pair values, and the effective number of items; see
          `ctrbench.metrics.Items`.
        - `<slice key>/impressions`: (1,), the number of impressions measured.
    """
    log, scratch = slots.impressions, scratch_of(workspace)
    with_items = {metric.name for metric in (judged() if metrics is None else metrics)}
    test = log.rows(WHOLE)
    users, items = (distinct(ids[test], scratch)[0] for ids in (log.user_id, log.item_id))
    found = {}
    for key, chosen in ((WHOLE, None), *_masks(workspace, slots, wanted)):
        own = _Part.of(log, p_click, chosen, scratch)
        found[f"{key}/impressions"] = np.array([len(own.click)])  # marks the slice as measured
        of_part = (own.click, own.p_click, own.user_id, own.weight, own.group_id, own.item_id)
        values = influences(*of_part, metrics, scratch)
        place = np.searchsorted(users, distinct(own.user_id, scratch)[0])
        item_place = np.searchsorted(items, distinct(own.item_id, scratch)[0])
        for metric, influence in values.items():
            name = f"{key}/{metric}"
            found[name] = np.zeros(len(users))
            found[name][place] = influence.per_user
            found[f"{name}/worth"] = np.array([influence.effective_users])
            if influence.items is not None and metric in with_items:
                found[f"{name}/items"] = np.zeros(len(items))
                found[f"{name}/items"][item_place] = influence.items.per_item
                found[f"{name}/pairs"] = influence.items.pairs
                found[f"{name}/items_worth"] = np.array([influence.items.effective])
    return found


def scratch_of(workspace: Workspace) -> Scratch:
    """Return scratch arrays in the workspace's folder of derived files; in memory if read-only."""
    folder = workspace.cache if workspace.cache.exists() else workspace.home
    return Scratch(workspace.cache) if os.access(folder, os.W_OK) else IN_MEMORY


def _masks(
    workspace: Workspace, slots: HistorySlots, wanted: Iterable[Slice]
) -> Iterable[tuple[str, np.ndarray]]:
    """Yield each slice's key and whether each impression of the test period is in it."""
    log, known = slots.impressions, None
    for part in wanted:
        if known is None:
            known = slots.item_counts("train") > 0
        chosen = mask(
            part,
            log,
            "test",
            lambda name: impressions.vocabulary(workspace, log.manifest.name, name),
            known,
        )
        yield part.key, chosen
