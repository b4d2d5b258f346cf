"""The fit of `ctrbench advise`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.regimes import advice, checks, codebooks, study
from benchmarks.regimes.outside import held_out
from benchmarks.regimes.traits import add_traits, read_traits
from benchmarks.shared import TABLES
from ctrbench import embeddings, impressions
from ctrbench.advising.advice import SizeForecast
from ctrbench.advising.prediction import FILE
from ctrbench.advising.traits import Traits, measure
from ctrbench.workspace import Workspace
from data_synth.writing import write_world

COUNTS = "impressions", "items"
NUMBERS = (
    *("head", "cold", "clicks", "ctr", "coverage", "sim_auc", "agreement", "baseline"),
    *("similarity_pp", "bilinear_pp"),
)


def test_the_packaged_fit_is_that_of_the_stored_rows_and_traits():
    assert len({one.world for one in advice.read_trained()}) >= 5
    fit, table = advice.made()
    found, stored = advice.plain(fit), json.loads(FILE.read_text(encoding="utf-8"))
    assert found.keys() == stored.keys()
    assert found["modes"] == tuple(stored["modes"])
    for name in ("weights", "covariance", "quantile", "floor_pp"):
        np.testing.assert_allclose(found[name], stored[name], rtol=1e-3, atol=1e-5)
    assert [one["what"] for one in stored["reliability"]] == [one.what for one in fit.reliability]
    for one, two in zip(found["reliability"], stored["reliability"], strict=True):
        values = ("worlds", "replicates", "error_pp", "rank_correlation", "fixed_order", "right")
        assert [one[name] for name in values] == pytest.approx([two[name] for name in values])
    assert found["size_power"] == stored["size_power"]
    for one, two in zip(found["sizes"], stored["sizes"], strict=True):
        assert one.pop("what") == two.pop("what")
        assert one == pytest.approx(two)
    assert (TABLES / "advice.md").read_text(encoding="utf-8") == "\n".join(table) + "\n"


@pytest.mark.slow
def test_stored_traits_are_those_of_the_world(tmp_path):
    key = "main-60k-0.5", "0", "oracle"
    (point,) = (one for one in study.points() if one.name == key[0])
    write_world(point.config(0), tmp_path)
    workspace = Workspace(tmp_path)
    log = impressions.open_impressions(workspace, "complement")
    found = measure(log, embeddings.open_version(workspace, "complement", "oracle"))
    stored = read_traits()[key]
    assert found.codes_pp.keys() == stored.codes_pp.keys()
    for name in ("similarity_pp", "bilinear_pp", "baseline", "sim_auc", "per_item", "clicks"):
        assert getattr(found, name) == pytest.approx(getattr(stored, name), rel=0.02)


def replicate(world, measured, similarity=1.0):
    traits = Traits(**dict.fromkeys(COUNTS, 1), **dict.fromkeys(NUMBERS, 1.0), codes_pp={10: 1.0})
    traits = replace(traits, similarity_pp=similarity, impressions=300_000)
    point = study.Point(world, round(60_000 * similarity), 1, 1.0)
    return advice.Trained(point, "oracle", traits, 12, measured)


def test_a_fit_recovers_gains_that_are_proportional_to_a_stand_in(monkeypatch):
    monkeypatch.setattr("ctrbench.advising.prediction.BEND_PP", 1e9)
    modes = list(advice.STAND_INS)
    trained = [
        replicate(
            f"w{size}", np.array([2.0 * size if "sim" in mode else 1.0 for mode in modes]), size
        )
        for size in (1.0, 2.0, 3.0, 4.0)
    ]
    weights = advice.fitted(trained).weights
    assert weights[modes.index("sim_score"), 0] == pytest.approx(2, rel=0.05)  # less the penalty
    assert weights[modes.index("sim_score"), 1:].tolist() == [0] * 7
    (left_out,) = advice.fitted(trained).reliability[:1]
    assert (left_out.worlds, left_out.replicates, left_out.winners) == (4, 4, 1.0)
    assert left_out.error_pp < 0.3 < left_out.mean_error_pp
    assert left_out.fixed_winners == 1.0  # the order is the same in all worlds


def test_points_of_one_log_are_left_out_together():
    trained = [replicate("a", np.zeros(10)), replicate("b", np.ones(10))]
    trained += [replicate(name, np.ones(10), 2.0) for name in "cd"]
    assert len({one.log for one in trained}) == 2
    predicted, means = advice._leave_out(trained, lambda one: one.log)
    np.testing.assert_array_equal(means, np.repeat([[1.0], [0.5]], 2, 0) * np.ones(10))
    np.testing.assert_array_equal(predicted[0], predicted[1])  # neither learns from the other


def test_no_fit_uses_a_world_that_is_held_out():
    names = [world.name for world in held_out()]
    gains = np.random.default_rng(0).normal(np.arange(10.0), 0.1, (3, 10))
    trained = [replicate(f"w{n}", (n + 1) * own, n + 1.0) for n, own in enumerate(gains)]
    held = [replicate(name, 50 - np.arange(10.0), 4.0) for name in names]
    alone, both = advice.fitted(trained), advice.fitted([*trained, *held])
    np.testing.assert_array_equal(alone.weights, both.weights)
    np.testing.assert_array_equal(alone.covariance, both.covariance)
    held_rows = [one.what for one in both.reliability[-2:]]
    assert held_rows == [f"{advice.HELD_OUT}, known before", advice.HELD_OUT]
    assert both.reliability[:-2] == alone.reliability


def test_larger_logs_are_predicted_from_the_fit_without_them():
    gains = np.random.default_rng(0).normal(np.arange(10.0), 0.1, (3, 10))
    trained = [replicate(f"w{n}", (n + 1) * own, n + 1.0) for n, own in enumerate(gains)]
    large = replicate("large", 50 - np.arange(10.0), 100.0)  # 6 million impressions
    alone, both = advice.fitted(trained), advice.fitted([*trained, large])
    np.testing.assert_array_equal(alone.weights, both.weights)
    assert alone.ranges == both.ranges
    assert both.reliability[:-1] == alone.reliability
    assert (both.reliability[-1].what, both.reliability[-1].worlds) == (advice.LARGER, 1)
    ((limited,),) = [apart for apart in advice.parted([large]) if apart]
    assert limited.traits.impressions == advice.LARGEST


def test_the_checks_are_those_of_the_stored_traits():
    found = checks.lines()
    assert (TABLES / "advice_checks.md").read_text(encoding="utf-8") == "\n".join(found) + "\n"
    assert len(found) > 4


def test_measured_gains_of_published_tables():
    found, over = checks.measured("taste", "noisy_0.5")
    assert over == "random vectors"  # worlds.md: 0.30 ± 0.11 and 0.12 ± 0.16
    assert found["sim_score"] == pytest.approx((0.18, (0.11**2 + 0.16**2) ** 0.5))
    found, over = checks.measured("movielens-time", "pca64")
    assert over == "the baseline"
    assert found["vector"] == pytest.approx((0.3, 0.29), abs=0.005)  # +0.01 to +0.59
    found, over = checks.measured("movielens", "raw")
    assert over == "shuffled vectors"
    assert found["vector"] == pytest.approx((0.03, 0.12), abs=0.005)  # -0.09 to +0.15


def test_stored_traits_are_read_as_they_were_written(tmp_path):
    (key, found), *_ = read_traits().items()
    add_traits(key, found, tmp_path / "traits.csv")
    add_traits(("other", "1", "v"), replace(found, codes_pp={10: 2.5}), tmp_path / "traits.csv")
    again = read_traits(tmp_path / "traits.csv")
    assert again[key] == found
    assert again["other", "1", "v"].codes_pp == {10: 2.5}


def test_codebook_sizes_are_judged_by_the_gains_of_their_worlds():
    def of(*sizes):
        return [SizeForecast(size, gain, useful) for size, gain, useful in sizes]

    gains = {"a": {10: 1.0, 100: 2.0, 500: 1.7}, "b": {10: 0.2, 100: 0.25}}
    forecasts = {
        "a": [
            of((10, 0.5, False), (100, 2.1, True), (500, 2.0, False)),
            of((10, 2.5, True), (100, 2.4, True), (500, 0.0, False)),
        ],
        "b": [of((10, 0.6, True), (100, 0.1, False))],
    }
    found = codebooks.reliability("", gains, forecasts)
    assert codebooks.useful_sizes(gains["a"]) == {100, 500}
    assert codebooks.useful_sizes(gains["b"]) == set()  # below 0.3 pp
    assert (found.worlds, found.replicates, found.called) == (2, 3, 4)
    assert (found.right, found.found) == (2 / 4, 2 / 4)
    assert (found.fixed_right, found.fixed_found) == (0, 0)  # 10 codes
    assert found.lost_pp == pytest.approx((0.0 + 1.0 + 0.05) / 3)
    assert found.fixed_lost_pp == pytest.approx((1.0 + 1.0 + 0.05) / 3)
    assert found.default_lost_pp == pytest.approx(0.0)  # 100 is nearest to 200 in all


def test_gains_of_codebook_sizes_are_those_over_random_vectors():
    (world, *_) = codebooks.known_worlds()

    def rows(replicate, **gauc):
        where = {"point": world.name, "replicate": str(replicate)}
        names = {"plain": ("", "none"), "random": ("random", "cluster_id")}
        names |= {f"s{size}": ("oracle", f"cluster_id/{size}") for size in (10, 50)}
        return [
            where | dict(zip(("version", "mode"), names[name], strict=True)) | {"gauc": str(value)}
            for name, value in gauc.items()
        ]

    stored = [*rows(0, plain=0.60, random=0.61), *rows(1, plain=0.62, random=0.60)]
    stored += [*rows(0, s10=0.63, s50=0.65), *rows(1, s10=0.63)]
    found = codebooks.measured([world], stored)
    assert found == {world.name: {10: pytest.approx(2.5)}}  # 50 codes are not complete
    assert codebooks.measured([world], stored[:2]) == {}


def test_sized_worlds_are_those_that_no_fit_uses():
    for sized, world in zip(codebooks.known_worlds(), held_out(), strict=True):
        assert sized.config(1) == world.config(1)
        (text,) = sized.files(0)
        assert f"codebook_size: {list(sized.sizes(0))}" in text


def test_the_power_of_the_curve_is_that_of_the_measured_gains(monkeypatch):
    (point, *_) = codebooks.fitted_points()
    monkeypatch.setattr(codebooks, "fitted_points", lambda: [point])
    monkeypatch.setattr(codebooks, "fitted_worlds", list)
    monkeypatch.setattr(codebooks, "_of_300k", lambda _: {})
    traits = {key: one for key, one in read_traits().items() if key[0] == point.name}
    curve = {10: 2.0, 20: 1.5, 50: 1.0, 100: 0.5}
    fixed = {key: replace(one, codes_pp=curve) for key, one in traits.items()}
    monkeypatch.setattr(codebooks, "read_traits", lambda: fixed)
    rows = [
        {"point": point.name, "replicate": str(r), "version": version, "mode": mode, "gauc": gauc}
        for r in range(2)
        for version, mode, gauc in [
            ("random", "cluster_id", 0.6),
            *(("oracle", f"cluster_id/{k}", 0.6 + 0.03 * (g / 2) ** 3) for k, g in curve.items()),
        ]
    ]
    assert codebooks.fitted_power(rows) == 3.0
    with pytest.raises(SystemExit, match=rf"Codebook sizes of {point.name} are not complete"):
        codebooks.fitted_power(rows[1:])
