import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_synth import attainable as module
from data_synth.attainable import Attainable, attainable
from data_synth.clicks import make_log
from data_synth.world import WorldConfig, make_world


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return the paths of a log of two parts, and its columns."""
    world = make_world(WorldConfig(users=300, items=200, impressions=20_000))
    made = make_log(world)
    columns = {
        "user_id": made.user + 1,
        "click": made.click,
        "p_true": made.p_true,
        "p_without_style": made.p_without_style,
    }
    folder = tmp_path_factory.mktemp("log")
    paths = [folder / "a.parquet", folder / "b.parquet"]
    for path, rows in zip(paths, (slice(0, 15_000), slice(15_000, None)), strict=True):
        pq.write_table(pa.table({name: column[rows] for name, column in columns.items()}), path)
    return paths, columns


def test_standard_errors_equal_a_bootstrap_over_users(log):
    from ctrbench.metrics import gauc

    paths, columns = log
    bounds = attainable(paths, (14_000, 20_000))
    test = {name: column[14_000:] for name, column in columns.items()}
    assert bounds.impressions == 6_000
    assert bounds.gauc == gauc(test["click"], test["p_true"], test["user_id"])
    rng, gains = np.random.default_rng(0), []
    rows_of = [np.flatnonzero(test["user_id"] == user) for user in np.unique(test["user_id"])]
    for _ in range(400):
        drawn = rng.integers(0, len(rows_of), len(rows_of))
        rows = np.concatenate([rows_of[user] for user in drawn])
        user = np.repeat(np.arange(len(drawn)), [len(rows_of[user]) for user in drawn])
        with_style, without = (
            gauc(test["click"][rows], test[name][rows], user)
            for name in ("p_true", "p_without_style")
        )
        gains.append(with_style - without)
    assert bounds.gauc_gain_error == pytest.approx(np.std(gains), rel=0.15)


def test_long_test_period_is_sampled_by_user(log, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_SAMPLE", 3_500)
    paths, columns = log
    bounds = attainable(paths, (14_000, 20_000))
    assert bounds.impressions == np.count_nonzero(columns["user_id"][14_000:] % 2 == 0)


def test_attainable_metrics_as_text():
    bounds = Attainable(9, 0.75, 0.73, 0.002, 0.69, 0.67, 0.001, 0.003, 0.002)
    assert str(bounds) == (
        "GAUC 67.00 without style, 69.00 with it (+2.00 ± 0.10 pp); "
        "AUC 73.00 without style, 75.00 with it (+2.00 ± 0.20 pp)"
    )
    assert "not defined" in str(Attainable(9, *[None] * 8))
