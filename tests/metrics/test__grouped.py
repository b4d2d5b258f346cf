import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrbench.metrics import grouped_auc
from tests.metrics.made import EXACT, logs, random_log


def test_one_class_users_are_excluded_and_counted():
    found = grouped_auc([1, 0, 1, 1, 0], [0.9, 0.1, 0.3, 0.2, 0.1], [5, 5, 6, 6, 7])
    assert found.user_id.tolist() == [5, 6, 7]
    assert found.auc.tolist()[0] == 1
    assert found.evaluable.tolist() == [True, False, False]
    assert found.impressions.tolist() == [2, 2, 1]
    assert found.clicks.tolist() == [1, 2, 0]


def test_counts_are_of_rows_and_weights_are_summed():
    found = grouped_auc([1, 0, 1], [0.9, 0.1, 0.3], [1, 1, 2], [0.5, 2, 4])
    assert found.impressions.tolist() == [2, 1]
    assert found.weight.tolist() == [2.5, 4]
    assert found.click_weight.tolist() == [0.5, 4]


@pytest.mark.parametrize(
    "users",
    [
        [-(2**63), -(2**63), 2**63 - 1, 2**63 - 1],
        np.array([0, 0, 2**64 - 1, 2**64 - 1], np.uint64),
        np.array([2**64 - 2, 2**64 - 2, 2**64 - 1, 2**64 - 1], np.uint64),
        np.array([-128, -128, 127, 127], np.int8),
        ["anna", "anna", "zoé", "zoé"],
        np.array(["anna", "anna", "zoé", "zoé"], object),
    ],
)
def test_user_ids_are_any_integers_or_strings(users):
    found = grouped_auc([1, 0, 0, 1], [0.9, 0.1, 0.9, 0.1], users)
    assert found.user_id.tolist() == [users[0], users[2]]
    assert found.auc.tolist() == [1, 0]


def test_small_weights_are_exact_next_to_a_huge_one():
    click, p, user, weight = random_log(500, 40, 8)
    alone = grouped_auc(click, p, user, weight).auc
    with_giant = grouped_auc(
        np.append([1, 0], click), np.append([0.4, 0.6], p), np.append([-9, -9], user),
        np.append([1e15, 1e15], weight),
    ).auc  # fmt: skip
    assert np.allclose(with_giant[1:], alone, rtol=0, atol=1e-12, equal_nan=True)


@given(logs)
def test_strictly_increasing_map_has_no_effect(log):
    click, p, user, weight = log
    before, after = (grouped_auc(click, x, user, weight).auc for x in (p, np.exp(p) - 9))
    assert np.array_equal(before, after, equal_nan=True)


@given(logs, st.randoms(use_true_random=False))
def test_order_of_rows_is_irrelevant(log, random):
    order = random.sample(range(len(log[0])), len(log[0]))
    before, after = grouped_auc(*log).auc, grouped_auc(*(column[order] for column in log)).auc
    assert np.allclose(before, after, rtol=0, atol=1e-12, equal_nan=True)


@given(logs)
def test_complement(log):
    click, p, user, weight = log
    whole = grouped_auc(click, p, user, weight).auc
    for other in (
        1 - grouped_auc(1 - click, p, user, weight).auc,
        1 - grouped_auc(click, -p, user, weight).auc,
    ):
        assert np.allclose(whole, other, rtol=0, atol=1e-12, equal_nan=True)


@settings(deadline=None)
@given(logs)
def test_every_user_equals_the_pairs_counted_one_by_one(log):
    click, p, user, weight = log
    found = grouped_auc(*log)
    for one, value in zip(found.user_id, found.auc, strict=True):
        mine = [(c, x, w) for c, x, u, w in zip(click, p, user, weight, strict=True) if u == one]
        pairs = [
            (w * v, (x > y) + (x == y) / 2)
            for c, x, w in mine
            for d, y, v in mine
            if c == 1 and d == 0
        ]
        if pairs:
            expected = sum(w * won for w, won in pairs) / sum(w for w, _ in pairs)
            assert value == pytest.approx(expected, **EXACT)
        else:
            assert np.isnan(value)
