"""Intrinsic quality against plain loops on a tiny log."""

import numpy as np
import pytest

from ctrbench.metrics import auc, gauc
from ctrbench.quality import nearest, overlap, quality
from ctrbench.schema import EmbeddingTable
from tests.conftest import ITEMS


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    has = rng.random(ITEMS + 1) < 0.9
    has[0] = False
    vectors = rng.normal(size=(ITEMS + 1, 5)).astype(np.float32) * has[:, None]
    return EmbeddingTable(vectors, has)


def cosine(table, a, b):
    one, two = table.vectors[a], table.vectors[b]
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def test_sim_score_on_valid(table, impressions):
    log, rows = impressions, impressions.rows("valid")
    scores = []
    for i in range(rows.start, rows.stop):
        start, length = log.history_start[i], log.history_length[i]
        history = log.history_items[start : start + length][-50:]
        cosines = [
            cosine(table, log.item_id[i], item)
            for item in history
            if table.has_vector[item] and table.has_vector[log.item_id[i]]
        ]
        scores.append(np.mean(cosines) if cosines else np.nan)
    score = np.nan_to_num(scores, nan=np.nanmean(scores))
    found = quality(table, log, None)
    click = log.click[rows]
    assert found.sim_auc == pytest.approx(auc(click, score), abs=1e-6)
    assert found.sim_gauc == pytest.approx(gauc(click, score, log.user_id[rows]), abs=1e-6)
    assert found.same_category is None


def test_nearest_equals_a_sort_of_all_cosines(table):
    items = np.flatnonzero(table.has_vector)
    for item, found in zip(items[:6], nearest(table, items[:6], 4), strict=True):
        others = [other for other in items if other != item]
        others.sort(key=lambda other, item=item: -cosine(table, item, other))
        assert list(found) == others[:4]
    assert (nearest(table, items, 100)[:, len(items) - 1 :] == -1).all()


@pytest.mark.parametrize("field", ["colour", "tags"])
def test_same_category_among_the_ten_nearest(field, table, impressions):
    column = impressions.item_fields[field]

    def values(item):
        if field == "colour":
            return {int(column[item])} - {0}
        return set(column.values[column.offsets[item] : column.offsets[item + 1]])

    items = np.flatnonzero(table.has_vector)
    near = nearest(table, items)
    same = [bool(values(a) & values(b)) for a, row in zip(items, near, strict=True) for b in row]
    found = quality(table, impressions, column)
    assert found.same_category == pytest.approx(np.mean(same))
    assert 0 < found.by_chance < 1


def test_alignment_uniformity_and_rank(table, impressions):
    items = np.flatnonzero(table.has_vector)
    unit = table.vectors[items] / np.linalg.norm(table.vectors[items], axis=1, keepdims=True)
    apart = np.square(unit[:, None] - unit[None]).sum(axis=2)[~np.eye(len(items), dtype=bool)]
    found = quality(table, impressions, None)
    assert found.uniformity == pytest.approx(np.log(np.exp(-2 * apart).mean()), abs=0.02)
    assert 4 < found.effective_rank <= 5
    log, rows, pairs = impressions, impressions.rows("valid"), []
    for i in range(rows.start, rows.stop):
        if log.click[i] and log.history_length[i]:
            last = log.history_items[log.history_start[i] + log.history_length[i] - 1]
            if last != log.item_id[i] and table.has_vector[[last, log.item_id[i]]].all():
                pairs.append(2 - 2 * cosine(table, last, log.item_id[i]))
    assert found.alignment == pytest.approx(np.mean(pairs), abs=1e-5)


def test_overlap(table):
    assert overlap(table, table) == 1
    turned = EmbeddingTable(
        table.vectors @ np.linalg.qr(np.ones((5, 5)) + np.eye(5))[0], table.has_vector
    )
    assert overlap(table, turned) == pytest.approx(1)
    other = np.random.default_rng(9).normal(size=table.vectors.shape).astype(np.float32)
    assert 0.1 < overlap(table, EmbeddingTable(other, table.has_vector)) < 0.5


def test_euclidean_and_cosine_neighbours_agree_on_unit_vectors(table):
    items = np.flatnonzero(table.has_vector)
    unit = table.vectors[items] / np.linalg.norm(table.vectors[items], axis=1, keepdims=True)
    apart = np.linalg.norm(unit[:, None].astype(float) - unit[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    by_distance = items[np.argsort(apart, axis=1)[:, :10]]
    np.testing.assert_array_equal(nearest(table, items), by_distance)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors(count, table, impressions):
    has = np.arange(ITEMS + 1) < 0
    has[[3, 5][:count]] = True
    few = EmbeddingTable(np.ones((ITEMS + 1, 1), np.float32), has)
    found = quality(few, impressions, impressions.item_fields["colour"])
    known = found.effective_rank, found.mean_cosine, found.uniformity, found.same_category
    assert [value is None for value in known] == [count < 2] * 4
    assert (nearest(few, np.array([3]))[:, 1:] == -1).all()
    assert overlap(few, table) == pytest.approx((count == 2) / 10) if count else True
    assert (overlap(few, few) is None) == (count == 0)


def test_collapsed_version_is_reported(table, impressions):
    same = EmbeddingTable(np.ones_like(table.vectors), table.has_vector)
    found = quality(same, impressions, None)
    assert found.mean_cosine == pytest.approx(1)
    assert found.sim_auc == pytest.approx(0.5, abs=0.1)
