"""Counts of earlier events against plain loops, for any parts; the order of a long log."""

from itertools import pairwise

import numpy as np
import pytest

from ctrbench.importing import Snapshot, relations
from ctrbench.impressions import open_impressions, states
from tests.impressions.logs import build_log, row


def made(rows, seed):
    rng = np.random.default_rng(seed)
    moment = np.sort(rng.integers(0, rows // 3, rows))
    return rng.integers(1, 6, rows).astype(np.int32), moment, rng.integers(0, 2, rows)


@pytest.mark.parametrize("part", [1, 4, 7, 1000])
def test_counts_do_not_depend_on_the_parts(part):
    user, moment, click = made(90, seed=part)
    parts = [
        (user[i : i + part], moment[i : i + part], click[i : i + part]) for i in range(0, 90, part)
    ]
    whole = list(states.whole_moments(parts))
    for one, other in pairwise(whole):
        assert one[1][-1] < other[1][0]
    found = [np.concatenate(each) for each in zip(*states.counted_before(whole, 6), strict=True)]
    before = (user[:, None] == user) & (moment[:, None] > moment)
    np.testing.assert_array_equal(found[0], user)
    np.testing.assert_array_equal(found[1], before.sum(axis=1))
    np.testing.assert_array_equal(found[2], (before & (click == 1)).sum(axis=1))


@pytest.mark.parametrize("split", ["time:20/50/10/20", "per_user:20/50/10/20"])
def test_a_log_of_several_parts_and_row_groups_stays_in_order(split, workspace, monkeypatch):
    monkeypatch.setattr(relations, "PART", 5000)
    rng = np.random.default_rng(0)
    count = 300_000  # DuckDB keeps rows in groups of 122,880
    columns = zip(
        rng.integers(1, 3000, count).tolist(),
        rng.integers(1, 900, count).tolist(),
        rng.integers(0, 2, count).tolist(),
        rng.integers(0, 50_000, count).tolist(),
        strict=True,
    )
    log = [row(*values) for values in columns]
    build_log(workspace, log, split, snapshot=Snapshot("impression"))
    log = open_impressions(workspace, "log")
    for period in log.manifest.periods:
        rows = log.rows(period)
        keys = log.click[rows], log.item_id[rows], log.user_id[rows], log.timestamp[rows]
        np.testing.assert_array_equal(np.lexsort(keys), np.arange(rows.stop - rows.start))
    order = np.lexsort((log.timestamp, log.user_id))
    user, moment, click = log.user_id[order], log.timestamp[order], log.click[order]
    key = user.astype(np.int64) * 50_000 + moment
    start = np.searchsorted(key, user.astype(np.int64) * 50_000)
    ties = np.searchsorted(key, key)
    clicks = np.concatenate([[0], np.cumsum(click)])
    np.testing.assert_array_equal(log.prior_impressions[order], ties - start)
    np.testing.assert_array_equal(log.prior_clicks[order], clicks[ties] - clicks[start])
    np.testing.assert_array_equal(log.history_start[order], clicks[start])
