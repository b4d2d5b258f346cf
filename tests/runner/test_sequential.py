from dataclasses import replace

import numpy as np
import pytest

from ctrbench.errors import ConfigError
from ctrbench.runner import sequential
from ctrbench.runner.sequential import interim_seeds, run_until_decided
from ctrbench.stats import Contrast, infer
from tests.benchmark import matrix
from tests.runner.test_run import Watcher


def _inference(estimate: float, users_sd: float, seeds: int, count: int):
    """Return a comparison with this estimate, whose seeds differ by a hundredth."""
    moved = np.random.default_rng(0).normal(0, users_sd / 100, 100)
    delta = estimate + 0.01 * np.linspace(-1, 1, seeds)
    influence = np.tile(moved - moved.mean(), (seeds, 1))
    return infer([Contrast(tuple(range(seeds)), delta, influence)], count)[0]


@pytest.fixture
def run(workspace, monkeypatch):
    """Replace training: results depend only on the number of seeds."""
    asked = []
    monkeypatch.setattr(sequential, "run_matrix", lambda w, m, *rest: asked.append(m) or {})

    def go(judge, most_seeds=12, effect=0.01):
        monkeypatch.setattr(sequential, "judged", lambda w, *rest: judge(*rest))
        small = matrix(workspace)
        small = replace(small, file=small.file.model_copy(update={"seeds": (0, 5, 1)}))
        outcome = run_until_decided(workspace, small, 1, False, Watcher(), most_seeds, effect)
        return outcome, [asked_for.file.seeds for asked_for in asked]

    return go


def test_interim_analyses_are_planned():
    assert interim_seeds(3, 3) == [3]
    assert interim_seeds(3, 12) == [3, 6, 12]


def test_seeds_are_added_until_all_comparisons_are_decided(run):
    def judge(matrix, records, count):
        assert count == 3
        return {"a": _inference(0.02, 0.0, len(matrix.file.seeds), count)}

    outcome, seeds = run(judge)
    assert seeds == [(0, 5, 1), (0, 5, 1, 2, 3, 4)]
    assert outcome.states == {"a": "better"}
    assert outcome.matrix.file.seeds == seeds[-1]


def test_run_stops_if_seeds_cannot_help(run):
    outcome, seeds = run(lambda m, r, n: {"a": _inference(0.0, 1.0, len(m.file.seeds), n)})
    assert len(seeds) == 1
    assert outcome.states == {"a": "undecidable on this test set"}


def test_run_stops_at_the_budget(run):
    outcome, seeds = run(lambda m, r, n: {"a": _inference(-0.011, 0.0, 3, n)})
    assert [len(s) for s in seeds] == [3, 6, 12]
    assert outcome.states == {"a": "out of budget"}


def test_a_file_of_one_seed_starts_with_three(workspace, monkeypatch):
    asked = []
    monkeypatch.setattr(sequential, "run_matrix", lambda w, m, *rest: asked.append(m) or {})
    monkeypatch.setattr(
        sequential,
        "judged",
        lambda w, m, r, n: {"a": _inference(0.02, 0.0, len(m.file.seeds), n)},
    )
    run_until_decided(workspace, matrix(workspace), 1, False, Watcher(), 3, 0.01)
    assert [one.file.seeds for one in asked] == [(0, 1, 2)]
    with pytest.raises(ConfigError, match=r"--most-seeds 2: .* 3"):
        run_until_decided(workspace, matrix(workspace), 1, False, Watcher(), 2, 0.01)


def test_a_budget_below_the_file_s_seeds_is_refused(run):
    with pytest.raises(ConfigError, match=r"--most-seeds 2: .* 3 seeds"):
        run(lambda m, r, n: {}, most_seeds=2)


def test_false_alarms_over_all_analyses_stay_below_5_percent():
    """Equal arms, analysed at 3, 6 and 12 seeds: users stay the same, seeds are added."""
    rng, alarms, runs, users = np.random.default_rng(2), 0, 1_500, 60
    for _ in range(runs):
        of_user = rng.normal(0, 1, users)
        each = of_user + rng.normal(0, 0.5, (12, users)) + rng.normal(0, 0.3, (12, 1))
        moved = (each - each.mean(axis=1, keepdims=True)) / users
        for seeds in interim_seeds(3, 12):
            contrast = Contrast(tuple(range(seeds)), each[:seeds].mean(axis=1), moved[:seeds])
            found = infer([contrast], looks=3)[0]
            if not found.low <= 0 <= found.high:
                alarms += 1
                break
    assert alarms / runs < 0.05
