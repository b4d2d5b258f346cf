"""Targets in their own given histories: leaked labels, or earlier clicks."""

import numpy as np
import pytest

from ctrbench.impressions import check
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, row

NAME = "target in its own history"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def target_log(clicks, others, leaking=("train", "valid", "test")):
    """Return 1,500 impressions; per label, this share of histories contains the target."""
    rng, rows = np.random.default_rng(3), []
    for i in range(1500):
        period = "train" if i < 900 else "valid" if i < 1200 else "test"
        click = int(rng.random() < 0.4)
        held = rng.random() < (clicks if click else others) and period in leaking
        item = int(rng.integers(50))
        impression = row(
            i % 100, item, click, i, period=period, history=[str(item)] * held + ["x", f"y{i}"]
        )
        rows.append(impression)
    return rows


def found(workspace, rows, timed):
    rows = [{k: v for k, v in r.items() if timed or k != "timestamp"} for r in rows]
    manifest = build_log(workspace, rows, "given")
    (guard,) = [one for one in check(workspace, "log") if one.name == NAME]
    return guard, any("item of their own history" in finding for finding in manifest.findings)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("clicks", "others"), [(0.23, 1), (0, 0.6), (1, 0), (1, 0.6), (0.6, 0.1)])
def test_a_history_that_reveals_the_label_is_an_error_and_stored(workspace, clicks, others, timed):
    guard, stored = found(workspace, target_log(clicks, others), timed)
    assert (guard.outcome, stored) == ("error", True)
    assert guard.message.endswith("non-clicks): the given histories reveal the click")


@pytest.mark.parametrize("period", ["valid", "test"])
def test_a_leak_in_one_period_is_an_error(workspace, period):
    rows = target_log(0, 1, leaking=[period])
    guard, stored = found(workspace, rows, timed=False)
    own = sum(r["period"] == period and not r["click"] for r in rows)
    assert (guard.outcome, stored) == ("error", True)
    assert f"{own} of {own} non-clicks in {period}" in guard.message


@pytest.mark.parametrize(("clicks", "others"), [(0.3, 0.1), (0.7, 0.5), (0.6, 0.6), (0.4, 0)])
def test_items_clicked_before_are_clicked_more_often(workspace, clicks, others):
    guard, stored = found(workspace, target_log(clicks, others), timed=False)
    assert (guard.outcome, stored) == ("warning", False)
