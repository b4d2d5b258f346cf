"""The simulation agrees with ctrbench and draws the stated effects."""

import numpy as np
import pytest

from benchmarks.calibration.logs import Design, draw_arm, draw_log, measure
from benchmarks.calibration.simulate import DESIGNS, simulate
from benchmarks.calibration.tables import DesignResult, share, write
from ctrbench.stats import influences


def test_vectorised_metrics_equal_those_of_ctrbench():
    for design in DESIGNS:
        rng = np.random.default_rng(0)
        log = draw_log(design, rng)
        p = draw_arm(design, log, rng)
        user, item = np.repeat(np.arange(design.users), design.rows), log.item.ravel()
        found = measure(log, p)
        for seed, of_seed in enumerate(p):
            p_click = 1 / (1 + np.exp(-of_seed.ravel()))
            expected = influences(
                log.click.ravel(), p_click, user, log.weight.ravel(), item_id=item
            )
            for metric, one in found.items():
                assert one.value[seed] == pytest.approx(expected[metric].value, abs=1e-12)
                np.testing.assert_allclose(
                    one.per_user[seed], expected[metric].per_user, atol=1e-12
                )
                sums = one.items[seed][np.unique(item)]
                np.testing.assert_allclose(sums, expected[metric].items.per_item, atol=1e-12)
                assert one.effective_items == pytest.approx(expected[metric].items.effective)


def test_row_of_a_design():
    gauc, auc = simulate(DESIGNS[0], 40)
    assert (gauc.metric, auc.metric) == ("gauc", "auc")
    for row in (gauc, auc):
        assert row.false_alarms.count == row.family.count == row.coverage.count == 40
        assert row.false_alarms.percent < 20
        assert row.coverage.percent > 80


def test_identically_distributed_arms_are_equal_and_a_better_one_is_not():
    rng, design = np.random.default_rng(0), Design("large", users=1_000, seeds=40)
    log = draw_log(design, rng)
    one, other, better = (measure(log, draw_arm(design, log, rng, q)) for q in (0.0, 0.0, 0.5))
    for metric in ("gauc", "auc"):
        assert one[metric].value.mean() == pytest.approx(other[metric].value.mean(), abs=0.02)
        assert better[metric].value.mean() > one[metric].value.mean() + 0.03


def test_writing_one_part_keeps_the_other(tmp_path):
    row = DesignResult(
        "plain", "gauc", share([True] * 7 + [False] * 93), None, share([True] * 95 + [False] * 5)
    )
    write("simulated", [row], tmp_path)
    write("trained", [row], tmp_path)
    text = (tmp_path / "calibration.md").read_text()
    assert text.count("| plain | gauc | **7.0 ± 2.5** | – | 95.0 ± 2.2 | 100 |") == 2
