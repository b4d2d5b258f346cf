"""The test period with permuted outcomes.

Clicks that are permuted within evaluation groups do not depend on the impressions. Every model
therefore has a GAUC of one half on them, unless its inputs contain outcomes of the group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.impressions.states import (
    DAY_S,
    SESSION_GAP_S,
    UnitStates,
    counted_before,
    ticks_per_second,
)
from ctrbench.schema import PERIODS, Impressions
from ctrbench.scratch import IN_MEMORY, Scratch, rows_by_code, sorted_rows


def inputs_follow_outcomes(log: Impressions) -> bool:
    """Return whether the outcomes of the test period change the inputs of a model there.

    With the snapshot `period` they do not. Given histories are fixed, but click rates follow the
    outcomes if there are timestamps. Another label than the click changes no input.
    """
    if log.manifest.outcome is not None:
        return False
    follow = log.manifest.history == "derived" or log.prior_clicks is not None
    return follow and log.manifest.snapshot != "period"


def permuted_outcomes(
    log: Impressions, rng: np.random.Generator, scratch: Scratch = IN_MEMORY
) -> Impressions:
    """Return the log with the test period's clicks permuted within each evaluation group.

    Derived histories and prior counts are recomputed from the permuted clicks with the log's
    snapshot. Memory grows with the impressions, unless the snapshot is `period`.

    Args:
        log: The impressions of a data set.
        rng: Draws the permutation.
        scratch: Provides arrays with one entry per impression.
    """
    test = log.rows("test")
    group, count = log.group_id[test], test.stop - test.start
    click, weight = (
        column
        if column is None
        else scratch.filled(len(column), column.dtype, (column[p] for p in blocks(len(column))))
        for column in (log.click, log.weight)
    )
    assert click is not None
    drawn = scratch.filled(
        count, np.float64, (rng.random(part.stop - part.start) for part in blocks(count))
    )
    for rows in rows_by_code(sorted_rows(group, scratch)):
        source = test.start + rows[np.lexsort((drawn[rows], group[rows]))]
        click[test.start + rows] = log.click[source]
        if weight is not None and log.weight is not None:  # a weight belongs to its outcome
            weight[test.start + rows] = log.weight[source]
    permuted = replace(log, click=click, weight=weight)
    return _derived(permuted) if inputs_follow_outcomes(log) else permuted


def _derived(log: Impressions) -> Impressions:
    """Return the log with user states recomputed from its clicks."""
    assert log.timestamp is not None
    order = np.lexsort((log.item_id, log.timestamp))
    user, moment, click = (
        np.asarray(column)[order] for column in (log.user_id, log.timestamp, log.click)
    )
    users = log.user_rows
    ((_, impressions, clicks),) = counted_before([(user, moment, click)], users)
    period = np.searchsorted(_ends(log), order, side="right").astype(np.int64)
    if log.manifest.snapshot_column is not None:
        group, own = log.group_id[order], period == PERIODS.index("pretrain")
        impressions, clicks = (_least(values, group, own) for values in (impressions, clicks))
    elif log.manifest.snapshot != "impression":
        unit, gap = _units(log, moment)
        states = UnitStates(users, gap)
        impressions, clicks, _ = states.at_unit_start(
            user, period, moment, unit, impressions, clicks
        )
    found = {}
    for name, values in (("impressions", impressions), ("clicks", clicks)):
        found[name] = np.empty(len(order), np.int32)
        found[name][order] = values
    counted = replace(log, prior_impressions=found["impressions"], prior_clicks=found["clicks"])
    if log.manifest.history == "given":
        return counted
    clicked = order[click == 1]
    by_user = np.argsort(log.user_id[clicked], kind="stable")
    counts = np.bincount(log.user_id[clicked], minlength=users)
    return replace(
        counted,
        history_start=(np.cumsum(counts) - counts)[log.user_id],
        history_length=found["clicks"],
        history_items=np.asarray(log.item_id[clicked[by_user]]),
    )


def _ends(log: Impressions) -> list[int]:
    """Return the end of each period's rows; an absent period is empty."""
    ends = [0]
    for period in PERIODS:
        ends.append(log.manifest.periods.get(period, (0, ends[-1]))[1])
    return ends[1:]


def _least(values: np.ndarray, group: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return (n,) the smallest value of each group, at its start; `own` rows keep theirs."""
    least = np.full(int(group.max()) + 1, values.max())
    np.minimum.at(least, group, values)
    return np.where(own, values, least[group])


def _units(log: Impressions, moment: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Return the snapshot unit of each row, and the gap in ticks that ends a unit, if any."""
    ticks = ticks_per_second(int(moment.max())) or 1
    if log.manifest.snapshot == "day":
        return moment // (ticks * DAY_S), None
    return np.zeros(len(moment), np.int64), ticks * SESSION_GAP_S
