"""The simulation's own fast measurement equals ctrbench.stats.influences."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ctrbench.stats import influences

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "calibration"


@pytest.fixture
def simulate(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("simulate", "logs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import simulate

    return simulate


def test_fast_measurement_equals_the_suite_s(simulate):
    from logs import draw_log, draw_predictions, measured

    for design in simulate.DESIGNS:
        rng = np.random.default_rng(0)
        log = draw_log(design, rng)
        p = draw_predictions(design, log, 0.0, rng)
        user = np.repeat(np.arange(len(p)), p.shape[1])
        expected = influences(log.click.ravel(), p.ravel(), user, log.weight.ravel())
        for metric, found in measured(log, p).items():
            assert found.value == pytest.approx(expected[metric].value, abs=1e-12)
            np.testing.assert_allclose(found.per_user, expected[metric].per_user, atol=1e-12)


def test_a_design_is_counted(simulate):
    counted = simulate.simulate(simulate.DESIGNS[0], 40)["gauc"]
    assert counted.replicates == 40
    assert counted.coverage > 0.8
    assert counted.false_alarms < 0.2
