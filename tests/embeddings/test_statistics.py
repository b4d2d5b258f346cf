import dataclasses

import numpy as np
import pytest

from ctrbench import arrays
from ctrbench.embeddings.statistics import coverage, describe_vectors, shares

from .conftest import table_of


def test_statistics_by_hand():
    table = table_of({1: [3, 4], 2: [0, 0], 3: [1, 0], 4: [1, 0], 6: [0, 2]})
    facts = describe_vectors(table)
    assert (facts.items, facts.items_with_vector, facts.zero_rows) == (6, 5, 1)
    assert facts.norms == (0, 1, 5)
    # the six pairs of unit vectors (.6, .8), (1, 0), (1, 0), (0, 1)
    assert facts.mean_cosine == pytest.approx((0.6 + 0.6 + 0.8 + 1 + 0 + 0) / 6)
    assert (facts.duplicates, facts.duplicate_vectors, facts.largest_group) == (2, 1, 2)
    assert facts.not_finite == 0


def test_vectors_whose_squares_underflow_float32():
    facts = describe_vectors(table_of({1: [3e-30, 4e-30], 2: [1e-30, 0]}))
    assert facts.norms == pytest.approx((1e-30, 3e-30, 5e-30))
    assert facts.mean_cosine == pytest.approx(0.6)
    assert facts.zero_rows == 0


def test_results_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    table = table_of({item: rng.normal(size=3).tolist() for item in (1, 2, 4, 5)})
    whole = describe_vectors(table)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 1)
    assert dataclasses.astuple(describe_vectors(table))[:4] == dataclasses.astuple(whole)[:4]
    assert describe_vectors(table).mean_cosine == pytest.approx(whole.mean_cosine)


def test_mean_cosine_requires_two_vectors():
    facts = describe_vectors(table_of({3: [0, 1]}))
    assert (facts.mean_cosine, facts.largest_group) == (None, 1)


def test_no_vector_at_all():
    table = dataclasses.replace(table_of({1: [1, 2]}), has_vector=np.zeros(7, bool))
    facts = describe_vectors(table)
    assert (facts.norms, facts.mean_cosine, facts.duplicates) == (None, None, 0)


@pytest.mark.parametrize("block_rows", [7, 1 << 20])
@pytest.mark.parametrize("history_length", [3, 50])
def test_coverage_equals_a_loop(impressions, monkeypatch, block_rows, history_length):
    monkeypatch.setattr(arrays, "BLOCK_ROWS", block_rows)
    table = table_of({item: [1.0] for item in range(5, 30, 2)}, items=40)
    for found in coverage(table, impressions, history_length):
        counts = [0, 0, 0]
        for row in range(*impressions.manifest.periods[found.period]):
            start, length = impressions.history_start[row], impressions.history_length[row]
            latest = impressions.history_items[start : start + length][-history_length:]
            targets = table.has_vector[impressions.item_id[row]]
            counts = np.add(counts, [targets, len(latest), table.has_vector[latest].sum()])
        assert [found.targets, found.slots, found.slots_with_vector] == counts.tolist()
    periods = [found.period for found in coverage(table, impressions)]
    assert periods == ["pretrain", "train", "valid", "test"]


def test_shares_equal_a_loop(impressions, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_ROWS", 7)
    has = np.isin(np.arange(impressions.item_rows), range(5, 30, 2))
    found = shares(has, impressions)
    covered = [bool(has[item]) for item in impressions.item_id]
    test = covered[impressions.rows("test")]
    assert found.test == pytest.approx(sum(test) / len(test))
    assert found.targets == pytest.approx(sum(covered) / len(covered))
    assert found.items == pytest.approx(13 / (impressions.item_rows - 1))
