"""Measure a cell's predictions: metrics and influence values of the test period and its slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ctrbench import impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.metrics import Metric, evaluate, find, influences, judged
from ctrbench.schema import Impressions, Metrics
from ctrbench.slices import Slice, mask
from ctrbench.workspace import Workspace

WHOLE = "test"  # key of the whole test period; slices have their own keys


def evaluate_period(
    log: Impressions, period: str, p_click: np.ndarray, wanted: Sequence[Metric] | None = None
) -> Metrics:
    """Return the metrics of one period's predictions.

    Args:
        log: The opened data set.
        period: `valid` or `test`.
        p_click: (n,) float, predicted click probability of each impression of the period.
        wanted: The metrics; None: those of every cell.
    """
    rows = log.rows(period)
    weight = None if log.weight is None else log.weight[rows]
    groups = _groups(log, rows)
    return evaluate(log.click[rows], p_click, log.user_id[rows], weight, groups, wanted)


def of_ranking(metrics: Metrics) -> Metrics:
    """Return the metrics of scores: those that need probabilities are not defined."""
    return metrics.merged({name: None for name in metrics.values if find(name).needs_probabilities})


def _groups(log: Impressions, rows: slice | np.ndarray) -> np.ndarray | None:
    """Return evaluation groups finer than users; None if the users are the groups."""
    return None if log.group is None else log.group[rows]


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
    log = slots.impressions
    found = {}
    for key, chosen in _masks(workspace, slots, wanted):
        rows = log.rows("test").start + chosen
        weight = None if log.weight is None else log.weight[rows]
        groups = _groups(log, rows)
        found[key] = evaluate(
            log.click[rows], p_click[chosen], log.user_id[rows], weight, groups, metrics
        )
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
    log = slots.impressions
    with_items = {metric.name for metric in (judged() if metrics is None else metrics)}
    test = log.rows("test")
    users, items = np.unique(log.user_id[test]), np.unique(log.item_id[test])
    found = {}
    whole = (WHOLE, slice(0, test.stop - test.start))
    for key, chosen in (whole, *_masks(workspace, slots, wanted)):
        rows = test if isinstance(chosen, slice) else test.start + chosen
        own, weight = log.user_id[rows], None if log.weight is None else log.weight[rows]
        shown, groups = log.item_id[rows], _groups(log, rows)
        found[f"{key}/impressions"] = np.array([len(own)])  # marks the slice as measured
        values = influences(log.click[rows], p_click[chosen], own, weight, groups, shown, metrics)
        place = np.searchsorted(users, np.unique(own))
        item_place = np.searchsorted(items, np.unique(shown))
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


def _masks(
    workspace: Workspace, slots: HistorySlots, wanted: Iterable[Slice]
) -> Iterable[tuple[str, np.ndarray]]:
    """Yield each slice's key and the positions of its impressions within the test period."""
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
        yield part.key, np.flatnonzero(chosen)
