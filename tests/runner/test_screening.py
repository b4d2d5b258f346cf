"""Screening and confirmation: the trained cells, the chosen versions, and the criterion."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from ctrbench.errors import ConfigError
from ctrbench.matrix import read_matrix
from ctrbench.runner import stored_records
from ctrbench.runner.run import run_matrix
from ctrbench.runner.screening import _spearman, agreements, plan, saved, screen
from tests.benchmark import SMALL, write

FILE = SMALL.replace("versions: [oracle, random]", "versions: [random, oracle, noisy_2, noisy_0.5]")
FILE += "screen: {mode: sim_score, seeds: [7, 8], keep: 2}\n"


class Silent:
    def begin(self, what, cells, missing, impressions):
        pass

    def progress(self, cell, share):
        pass

    def retried(self, cell, reason):
        pass

    def finished(self, record):
        assert record.status == "done", record.reason


def read(workspace, text=FILE):
    return read_matrix(write(workspace.home, text), workspace)


def test_only_the_best_on_valid_are_kept_and_trained(workspace, monkeypatch):
    matrix = read(workspace)
    quality = {"random": 0.5, "oracle": 0.9, "noisy_2": 0.7, "noisy_0.5": 0.6}

    def on_valid(record):
        """Return the record with the given quality on valid, and its opposite on test."""
        if record.cell.version is None:
            return record
        value = quality[record.cell.version]
        metrics = {
            "valid": record.metrics["valid"].model_copy(update={"gauc": value}),
            "test": record.metrics["test"].model_copy(update={"gauc": 1 - value}),
        }
        return record.model_copy(update={"metrics": metrics})

    monkeypatch.setattr(
        "ctrbench.runner.screening.run_matrix",
        lambda *given: {k: on_valid(r) for k, r in run_matrix(*given).items()},
    )
    screened = screen(workspace, matrix, 1, False, Silent())
    assert screened.kept == ("oracle", "noisy_2")
    assert list(screened.valid) == ["oracle", "noisy_2", "noisy_0.5", "random"]
    trained = stored_records(workspace, [*screened.first.cells(), *matrix.cells()])
    assert len(trained) == 2 * (1 + 4)  # two seeds: the baseline and four versions
    assert {record.cell.mode for record in trained.values()} == {"none", "sim_score"}
    assert {row.version for row in screened.second.rows} == {"oracle", "noisy_2"}
    cells = list(screened.second.cells())
    assert len(cells) == 1 + 2 * 3  # one seed: the baseline, and two versions in three modes
    assert saved(screened, matrix) == (17, 13)


def test_controls_are_confirmed_but_not_screened(workspace):
    text = FILE.replace("controls: none", "controls: [{kind: shuffled, versions: [oracle]}]")
    _, first = plan(read(workspace, text))
    assert all(row.control is None for row in first.rows)
    assert all(cell.control is None for cell in first.cells())


def test_agreement_is_spearmans_correlation_over_versions(workspace):
    matrix = read(workspace)
    screened = screen(workspace, matrix, 1, False, Silent())
    assert agreements(matrix, screened, {}) == []
    records = run_matrix(workspace, matrix, 1, False, Silent())
    found = {one.mode: one for one in agreements(matrix, screened, records)}
    assert set(found) == {"vector", "sim_score", "cluster_id"}
    gauc = {
        (record.cell.version, record.cell.mode): record.metrics["test"].gauc
        for record in records.values()
    }
    expected = spearmanr(
        list(screened.valid.values()), [gauc[version, "vector"] for version in screened.valid]
    )[0]
    assert found["vector"].correlation == pytest.approx(expected)


def test_interval_has_its_nominal_coverage():
    """Ten versions with a true rank correlation near 0.7, drawn 2,000 times."""
    rng = np.random.default_rng(0)
    true = 6 / math.pi * math.asin(0.72 / 2)  # of normal variables with correlation 0.72
    inside = 0
    for _ in range(2000):
        one = rng.normal(size=10)
        two = 0.72 * one + math.sqrt(1 - 0.72**2) * rng.normal(size=10)
        _, low, high = _spearman(list(one), list(two))
        inside += low <= true <= high
    assert 0.92 < inside / 2000 < 0.99


def test_too_few_versions_have_no_interval():
    found, low, high = _spearman([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    assert found == pytest.approx(0.5)
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mode: sim_score", "mode: sim_scor", "sim_score"),
        ("keep: 2", "keep: 4", "screen.keep: 4"),
        ("vector: {width: 4}", "vector: {width: [4, 8]}", None),
    ],
)
def test_invalid_screens(workspace, old, new, message):
    text = FILE.replace(old, new)
    if message is None:
        text, message = text.replace("mode: sim_score", "mode: vector"), "screen.mode: vector"
    with pytest.raises(ConfigError, match=message):
        plan(read(workspace, text))
