"""What the predictions of a cell are worth on the test period and its slices, user by user."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ctrbench import impressions
from ctrbench.impressions.slots import HistorySlots
from ctrbench.metrics import evaluate
from ctrbench.schema import Impressions, Metrics
from ctrbench.slices import Slice, mask
from ctrbench.stats import influences
from ctrbench.workspace import Workspace

WITH_ITEMS = ("auc", "gauc")  # metrics that tables judge
WHOLE = "test"  # key of the whole period beside the keys of its slices


def evaluate_period(log: Impressions, period: str, p_click: np.ndarray) -> Metrics:
    """All metrics of the predictions (n,) of one period."""
    rows = log.rows(period)
    weight = None if log.weight is None else log.weight[rows]
    return evaluate(log.click[rows], p_click, log.user_id[rows], weight, _groups(log, rows))


def _groups(log: Impressions, rows: slice | np.ndarray) -> np.ndarray | None:
    """Evaluation groups finer than users, if the data set has any."""
    return None if log.group is None else log.group[rows]


def slice_metrics(
    workspace: Workspace, slots: HistorySlots, p_click: np.ndarray, wanted: Iterable[Slice]
) -> dict[str, Metrics]:
    """Metrics of test predictions (n,) on each slice, by its key."""
    log = slots.impressions
    found = {}
    for key, chosen in _masks(workspace, slots, wanted):
        rows = log.rows("test").start + chosen
        weight = None if log.weight is None else log.weight[rows]
        found[key] = evaluate(
            log.click[rows], p_click[chosen], log.user_id[rows], weight, _groups(log, rows)
        )
    return found


def user_influences(
    workspace: Workspace, slots: HistorySlots, p_click: np.ndarray, wanted: Iterable[Slice]
) -> dict[str, np.ndarray]:
    """Influence values on the whole test period and on each slice.

    Returns:
        (G,) arrays by `<slice key>/<metric>`, the whole period under `test/`; G users of the
        test period, ascending by id; 0 for who is not in the slice. Beside them, under
        `<slice key>/<metric>/…`: `worth`, the users of equal weight that would say as much;
        of AUC and GAUC `items`, (I,) of the test period's items, `pairs` and `items_worth`, see
        `ctrbench.stats.influence.Items`. Under `<slice key>/impressions` how many impressions
        were measured.
    """
    log = slots.impressions
    test = log.rows("test")
    users, items = np.unique(log.user_id[test]), np.unique(log.item_id[test])
    found = {}
    whole = (WHOLE, np.arange(test.stop - test.start))
    for key, chosen in (whole, *_masks(workspace, slots, wanted)):
        rows = test.start + chosen
        own, weight = log.user_id[rows], None if log.weight is None else log.weight[rows]
        shown, groups = log.item_id[rows], _groups(log, rows)
        found[f"{key}/impressions"] = np.array([len(rows)])  # says that the slice was measured
        values = influences(log.click[rows], p_click[chosen], own, weight, groups, shown)
        place = np.searchsorted(users, np.unique(own))
        item_place = np.searchsorted(items, np.unique(shown))
        for metric, influence in values.items():
            name = f"{key}/{metric}"
            found[name] = np.zeros(len(users))
            found[name][place] = influence.per_user
            found[f"{name}/worth"] = np.array([influence.worth])
            if influence.items is not None and metric in WITH_ITEMS:
                found[f"{name}/items"] = np.zeros(len(items))
                found[f"{name}/items"][item_place] = influence.items.per_item
                found[f"{name}/pairs"] = influence.items.pairs
                found[f"{name}/items_worth"] = np.array([influence.items.worth])
    return found


def _masks(
    workspace: Workspace, slots: HistorySlots, wanted: Iterable[Slice]
) -> Iterable[tuple[str, np.ndarray]]:
    """Each slice's key and its impressions, counted from the start of the test period."""
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
