"""Results do not depend on blocks and files: they equal those of whole arrays bit for bit."""

import tracemalloc

import numpy as np
import pytest

from ctrbench.metrics import (
    PAIR_BUCKETS,
    effective_size,
    evaluate,
    find,
    influences,
    leverage,
    pair_buckets,
)
from ctrbench.metrics.log_loss import SMALLEST_P
from ctrbench.scratch import Scratch

ROWS = 3000
NAMES = [
    "auc",
    "gauc",
    "gauc_clicks",
    "log_loss",
    "predicted_over_observed",
    "ndcg@3",
    "hit_rate@3",
]


def log_of(dtype, weighted, grouped):
    """Return a log with ties, and weights whose sums are exact."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 90, ROWS).astype(np.int32), rng.integers(5, 70, ROWS)
    click = (rng.random(ROWS) < 0.3).astype(np.int8)
    p = (rng.integers(1, 400, ROWS) / 400).astype(dtype)
    weight = (rng.integers(1, 9, ROWS) / 4).astype(np.float32) if weighted else None
    group = 3 * user + rng.integers(0, 3, ROWS).astype(np.int32) if grouped else None
    return click, p, user, weight, group, item


def placement(click, p, w, group):
    """Return the placement values of the rows, one group after the other."""
    place = np.zeros(len(p))
    for one in np.unique(group):
        own = np.flatnonzero(group == one)
        levels, level = np.unique(p[own], return_inverse=True)
        for is_click in (0, 1):
            mass = np.bincount(level, w[own] * (click[own] == is_click), len(levels))
            if mass.any():
                share = (np.cumsum(mass) - mass + mass / 2) / mass.sum()
                others = click[own] != is_click
                place[own[others]] = (1 - share if is_click else share)[level[others]]
    return place


def sums_of(of_row, share, user, item):
    bucket, sign = pair_buckets(user, item)
    return (
        np.bincount(np.unique(item, return_inverse=True)[1], of_row),
        np.bincount(bucket, sign * of_row, PAIR_BUCKETS),
        effective_size(np.bincount(np.unique(item, return_inverse=True)[1], share)),
    )


def plain_auc(click, p, user, w, _group, item):
    """Return value and influence values of the AUC from whole arrays."""
    place, code = placement(click, p, w, np.zeros(ROWS)), np.unique(user, return_inverse=True)[1]
    yes, users = click == 1, code.max() + 1
    value = float(np.average(place[yes], weights=w[yes]))
    share = w / np.where(yes, w[yes].sum(), w[~yes].sum())
    per_user = np.zeros(users)
    for own in (yes, ~yes):
        moved = np.bincount(code[own], share[own] * (place[own] - value), users)
        per_user += leverage(np.bincount(code[own], share[own], users), users) * moved
    return value, per_user, *sums_of(share * (place - value), share / 2, user, item)


def plain_log_loss(click, p, user, w, _group, item):
    """Return value and influence values of the log loss from whole arrays."""
    code, clipped = np.unique(user, return_inverse=True)[1], np.clip(p, SMALLEST_P, 1 - SMALLEST_P)
    clipped = clipped.astype(np.float64)
    loss = -np.log(np.where(click, clipped, 1 - clipped))
    value, part = float(np.average(loss, weights=w)), np.bincount(code, w) / w.sum()
    moved = w * (loss - value) / w.sum()
    per_user = leverage(part) * np.bincount(code, moved)
    return value, per_user, *sums_of(moved, w / w.sum(), user, item)


def plain_gauc(click, p, user, w, group, item):
    """Return value and influence values of GAUC from whole arrays."""
    group = user if group is None else group
    _, first, code = np.unique(group, return_index=True, return_inverse=True)
    yes, no = np.bincount(code, w * click), np.bincount(code, w * (1 - click))
    area = np.zeros(len(yes))
    for one in range(len(yes)):
        own = code == one
        _, level = np.unique(p[own], return_inverse=True)
        above, below = (np.bincount(level, w[own] * (click[own] == c)) for c in (1, 0))
        area[one] = np.sum(above * (np.cumsum(below) - below + below / 2))
    used = (yes > 0) & (no > 0)
    aucs = area[used] / (yes * no)[used]
    value = float(np.average(aucs, weights=(yes + no)[used]))
    share = np.where(used, yes + no, 0.0)
    share /= share.sum()
    deviation = np.zeros(len(yes))
    deviation[used] = aucs - value
    owner = np.unique(user, return_inverse=True)[1][first]
    part, moved = np.bincount(owner, share), np.bincount(owner, share * deviation)
    mine = np.where(used[code], share[code] * w / np.where(click, yes[code], no[code]), 0.0)
    of_row = mine * (placement(click, p, w, group) - value)
    return value, leverage(part) * moved, *sums_of(of_row, mine / 2, user, item)


@pytest.fixture(params=["blocks and files", "one block"])
def scratch(request, monkeypatch, tmp_path):
    if request.param == "one block":
        return Scratch()
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 64)
    monkeypatch.setattr("ctrbench.scratch.SMALL_BYTES", 0)
    return Scratch(tmp_path)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_influence_values_equal_those_of_whole_arrays(scratch, dtype, weighted, grouped):
    click, p, user, weight, group, item = log_of(dtype, weighted, grouped)
    w = np.ones(ROWS) if weight is None else weight.astype(np.float64)
    found = influences(click, p, user, weight, group, item, scratch=scratch)
    for name, plain in (("auc", plain_auc), ("gauc", plain_gauc), ("log_loss", plain_log_loss)):
        one, items = found[name], found[name].items
        ours = (one.value, one.per_user, items.per_item, items.pairs, items.effective)
        for ours_, theirs in zip(ours, plain(click, p, user, w, group, item), strict=True):
            np.testing.assert_array_equal(ours_, theirs, err_msg=name)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_do_not_depend_on_blocks(monkeypatch, tmp_path, dtype, weighted, grouped):
    click, p, user, weight, group, _ = log_of(dtype, weighted, grouped)
    wanted = [find(name) for name in NAMES]
    expected = evaluate(click, p, user, weight, group, wanted)
    w = np.ones(ROWS) if weight is None else weight.astype(np.float64)
    assert expected.predicted_over_observed == (
        np.average(p.astype(np.float64), weights=weight if weighted else None)
        / np.average(click, weights=w)
    )
    of_lists = influences(click, p, user, weight, group, wanted=wanted[-2:])
    assert of_lists.keys() == (set(NAMES[-2:]) if grouped else set())
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 64)
    monkeypatch.setattr("ctrbench.scratch.SMALL_BYTES", 0)
    scratch = Scratch(tmp_path)
    assert evaluate(click, p, user, weight, group, wanted, scratch) == expected
    again = influences(click, p, user, weight, group, wanted=wanted[-2:], scratch=scratch)
    for name, one in of_lists.items():
        np.testing.assert_array_equal(again[name].per_user, one.per_user)


def test_equal_predictions_and_one_user_exceed_a_block(monkeypatch):
    click, p = np.arange(500) % 2, np.full(500, 0.5)
    found = evaluate(click, p, np.zeros(500, int))
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 64)
    assert evaluate(click, p, np.zeros(500, int)) == found
    assert found.auc == found.gauc == 0.5


def test_memory_does_not_grow_with_impressions(monkeypatch, tmp_path):
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 1 << 12)
    monkeypatch.setattr("ctrbench.scratch.SMALL_BYTES", 1 << 14)

    def peak(rows):
        rng = np.random.default_rng(0)
        user, item = rng.integers(0, 1000, (2, rows))  # few rows of each
        click, p = rng.random(rows) < 0.5, rng.random(rows)
        tracemalloc.start()
        evaluate(click, p, user, scratch=Scratch(tmp_path))
        influences(click, p, user, item_id=item, scratch=Scratch(tmp_path))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # what all calls share is loaded
    assert peak(200_000) < 1.1 * peak(20_000)
