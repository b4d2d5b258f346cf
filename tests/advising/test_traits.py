from dataclasses import replace

import numpy as np
import pytest

from ctrbench import embeddings, impressions
from ctrbench.advising.sample import PRIOR, VALID, Sample, draw
from ctrbench.advising.standins import (
    PENALTIES,
    _frequent,
    code_columns,
    paired_similarity_columns,
    similarity_columns,
)
from ctrbench.advising.traits import measure
from ctrbench.errors import DataError
from ctrbench.injection import Images
from ctrbench.metrics import gauc, influences
from ctrbench.schema import EmbeddingTable
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world


@pytest.fixture(autouse=True)
def _few_users(monkeypatch):
    """The log of these tests has the information of 34 users."""
    monkeypatch.setattr("ctrbench.advising.traits.FEWEST_USERS", 30)


@pytest.fixture(scope="module")
def log(made_workspace):
    return impressions.open_impressions(made_workspace, "taste")


@pytest.fixture(scope="module")
def oracle(made_workspace):
    return embeddings.open_version(made_workspace, "taste", "oracle")


def changed(log, period, click):
    """Return the log with other clicks in one period."""
    clicks = np.array(log.click)
    clicks[log.rows(period)] = click
    return replace(log, click=clicks)


def test_no_trait_reads_the_test_period(log, oracle):
    assert measure(changed(log, "test", 0), oracle, (10,)) == measure(log, oracle, (10,))


def test_vectors_with_the_taste_gain_and_permuted_ones_do_not(tmp_path):
    config = WorldConfig("taste", users=400, items=100, impressions=24_000, strength=2.0)
    write_world(config, tmp_path)
    log = impressions.open_impressions(Workspace(tmp_path), "taste")
    oracle = embeddings.open_version(Workspace(tmp_path), "taste", "oracle")
    has = np.flatnonzero(oracle.has_vector)
    vectors = np.array(oracle.vectors)
    vectors[has] = vectors[np.random.default_rng(0).permutation(has)]
    found = measure(log, oracle, (10,))
    permuted = measure(log, EmbeddingTable(vectors, oracle.has_vector), (10,))
    for gain, null in (
        (found.similarity_pp, permuted.similarity_pp),
        (found.bilinear_pp, permuted.bilinear_pp),
        (found.codes_pp[10], permuted.codes_pp[10]),
    ):
        assert gain > 2
        assert abs(null) < 0.5
    assert found.baseline == permuted.baseline


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_vectors_that_are_alike_do_not_gain_from_what_goes_together(log, oracle, spread):
    """Clicks follow pairs of categories, which cosines near one would reveal."""
    category = np.asarray(log.item_fields["category"])
    last = log.history_items[np.maximum(log.history_start + log.history_length - 1, 0)]
    fits = category[log.item_id] == (category[last] + 1) % (category.max() + 1)
    rng = np.random.default_rng(0)
    rate = np.where(fits & (log.history_length > 0), 0.8, 0.2)
    click = (rng.random(len(fits)) < rate).astype(int)
    vectors = np.ones_like(oracle.vectors) + spread * rng.normal(size=oracle.vectors.shape)
    alike = EmbeddingTable(vectors.astype(np.float32), oracle.has_vector)
    found = measure(replace(log, click=click), alike, (10,))
    assert found.baseline > 0.55
    error = 100 * np.diag(found.covariance) ** 0.5
    assert abs(found.similarity_pp) < max(0.05, 3 * error[0])
    assert abs(found.bilinear_pp) < max(0.05, 3 * error[1])


def test_counts_are_those_of_the_log(log, oracle):
    found, train = measure(log, oracle, (10, 1000)), log.rows("train")
    items, shown = np.unique(log.item_id[train], return_counts=True)
    assert (found.impressions, found.items) == (train.stop - train.start, len(items))
    top = np.sort(shown)[::-1][: round(len(items) / 10)]
    assert found.head == pytest.approx(top.sum() / shown.sum())
    valid = log.item_id[log.rows("valid")]
    assert found.cold == pytest.approx(1 - np.isin(valid, items).mean())
    assert found.coverage == pytest.approx(oracle.has_vector[valid].mean())
    assert [*found.codes_pp] == [10]  # a size requires four items per code


def small(impressions, rows):
    rows = np.array(rows)
    fold = np.where(rows < impressions.rows("train").stop, impressions.user_id[rows] % 2, VALID)
    return Sample(impressions, rows, fold)


def test_rates_of_codes_come_from_the_other_fold(impressions):
    train, valid = impressions.rows("train"), impressions.rows("valid")
    sample = small(impressions, [*range(train.start, valid.stop)])
    code = np.arange(impressions.item_rows) % 3
    found, mine = code_columns(sample, code, 3)[:, 0], code[sample.item]
    for fold, learned in ((0, (1,)), (1, (0,)), (VALID, (0, 1))):
        own = np.isin(sample.fold, learned)
        for one in range(3):
            clicks = sample.click[own & (mine == one)]
            rate = (clicks.sum() + PRIOR * sample.mean) / (len(clicks) + PRIOR)
            odds = found[(sample.fold == fold) & (mine == one)]
            np.testing.assert_allclose(odds, np.log(rate / (1 - rate)))


def test_similarities_and_shared_codes_of_a_history(impressions):
    row = impressions.rows("valid").start + 3
    start, length = impressions.history_start[row], impressions.history_length[row]
    clicked = impressions.history_items[start : start + length]
    unit = np.random.default_rng(0).normal(size=(impressions.item_rows, 5))
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
    cosine = unit[clicked] @ unit[impressions.item_id[row]]
    sample = small(impressions, [*range(*impressions.manifest.periods["train"]), row])
    mean, largest = similarity_columns(sample, unit)[-1, :2]
    assert (mean, largest) == pytest.approx((cosine.mean(), cosine.max()), abs=1e-6)
    code = np.arange(impressions.item_rows) % 3
    same = code_columns(sample, code, 3)[-1, 2]
    assert same == pytest.approx((code[clicked] == code[impressions.item_id[row]]).mean())


def test_similarities_are_weighted_by_pairs_of_field_values(log, oracle):
    """Check the column against weights that scikit-learn's ridge regression finds."""
    from sklearn.linear_model import Ridge

    sample, has = draw(log), np.asarray(oracle.has_vector)
    unit = Images(oracle.vectors, has, has).unit()
    names = [field.name for field in log.manifest.fields if field.name in log.item_fields]
    names = [name for name in names if log.item_fields[name].dtype.kind in "iu"]
    found = paired_similarity_columns(sample, unit)
    assert found.shape == (len(sample.rows), len(names))
    item, row, lengths = sample.slots
    cosine = (unit[item] * unit[sample.item[row]]).sum(axis=1)
    known = has[item] & has[sample.item[row]]
    assert not known.all()
    cosine = np.where(known, (cosine - cosine[known].mean()) / cosine[known].std(), 0)
    for name, column in zip(names, found.T, strict=True):
        value = np.asarray(log.item_fields[name])
        sums = np.zeros((len(sample.rows), value.max() + 1))
        np.add.at(sums, (row, value[item]), cosine / lengths[row])
        near = []
        for penalty in PENALTIES:
            expected = np.zeros(len(sample.rows))
            for scored, learned in sample.folds():
                for own in np.unique(value):
                    there = scored & (value[sample.item] == own)
                    here = learned & (value[sample.item] == own)
                    if there.any() and here.any():
                        model = Ridge(penalty, fit_intercept=False)
                        model.fit(sums[here], sample.click[here] - sample.mean)
                        expected[there] = model.predict(sums[there])
            near.append(np.allclose(column, expected, atol=1e-6))
        assert any(near)


def test_rare_values_of_a_field_share_their_weights():
    values = np.repeat(np.arange(40), np.arange(40, 0, -1))  # 0 is the most frequent
    group = _frequent(np.arange(40), values, 40)
    assert len(set(group[:32])) == 32
    assert set(group[32:]) == {0}


def test_a_large_log_is_sampled_by_users(log, monkeypatch):
    monkeypatch.setattr("ctrbench.advising.sample.MOST_ROWS", 1000)
    found = draw(log)
    assert 500 < len(found.rows) < 1500
    users = np.unique(log.user_id[found.rows])
    both = np.arange(log.rows("train").start, log.rows("valid").stop)
    assert np.array_equal(found.rows, both[np.isin(log.user_id[both], users)])


@pytest.mark.parametrize("click", [0, 1])
@pytest.mark.parametrize("period", ["train", "valid"])
def test_periods_require_clicks_and_non_clicks(log, oracle, period, click):
    with pytest.raises(DataError, match=f"period {period} of data set 'taste' lacks clicks or non"):
        measure(changed(log, period, click), oracle)


def test_a_prediction_requires_some_users_with_clicks_and_non_clicks(log, oracle):
    user = np.array(log.user_id)
    clicks = np.where(user == user[log.rows("valid").start], log.click, 0)
    clicks[log.rows("train").start] = clicks[log.rows("valid").start] = 1
    with pytest.raises(DataError, match=r"'taste' is too small .* of 1 users .* 30 are required"):
        measure(replace(log, click=clicks), oracle)


def test_errors_of_gains_are_those_of_resampled_users(log, oracle, monkeypatch):
    """Check the covariance against a bootstrap of users, with the fitted regressions unchanged."""
    from ctrbench.advising import traits

    seen = []
    monkeypatch.setattr(
        traits,
        "influences",
        lambda *given, **more: seen.append(given) or influences(*given, **more),
    )
    found = measure(log, oracle, (10,))
    click, _, user = map(np.asarray, seen[0])
    rng, drawn = np.random.default_rng(0), []
    rows_of = [np.flatnonzero(user == one) for one in np.unique(user)]
    for _ in range(300):
        chosen = [rows_of[place] for place in rng.integers(0, len(rows_of), len(rows_of))]
        rows, group = np.concatenate(chosen), np.repeat(np.arange(len(chosen)), [*map(len, chosen)])
        values = [gauc(click[rows], p[rows], group) for _, p, _ in seen]
        drawn.append(100 * (np.array(values[1:]) - values[0]))
    expected = np.cov(np.array(drawn).T)
    np.testing.assert_allclose(np.diag(found.covariance), np.diag(expected), rtol=0.3)
    correlation = np.corrcoef(np.array(drawn).T)[0, 1]
    deviation = np.sqrt(np.diag(found.covariance))
    mine = found.covariance[0][1] / (deviation[0] * deviation[1])
    assert mine == pytest.approx(correlation, abs=0.15)


def test_items_of_train_require_vectors(log, oracle):
    none = EmbeddingTable(oracle.vectors, np.zeros(len(oracle.has_vector), bool))
    with pytest.raises(DataError, match="fewer than two items"):
        measure(log, none)


def test_wide_vectors_are_reduced_to_their_main_directions(log, oracle):
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(80, 80)))[0][: oracle.vectors.shape[1]]
    wide = EmbeddingTable(np.asarray(oracle.vectors @ turned, np.float32), oracle.has_vector)
    found, narrow = measure(log, wide, (10,)), measure(log, oracle, (10,))
    assert found.sim_auc == pytest.approx(narrow.sim_auc, abs=1e-5)
    assert found.similarity_pp == pytest.approx(narrow.similarity_pp, abs=0.05)
    assert found.bilinear_pp == pytest.approx(narrow.bilinear_pp, abs=0.3)
