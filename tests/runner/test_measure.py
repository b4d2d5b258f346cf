import numpy as np
import pytest

from ctrbench.metrics import gauc
from ctrbench.runner.measure import slice_metrics, user_influences
from ctrbench.slices import Slice
from ctrbench.stats import influences

SHORT = Slice(history_below=20)
NONE = Slice(history_below=1)


@pytest.fixture
def p_click(impressions):
    rows = impressions.rows("test")
    return np.random.default_rng(0).random(rows.stop - rows.start).astype(np.float32)


def test_every_slice_counts_its_own_impressions(workspace, slots, p_click):
    log = slots.impressions
    rows = log.rows("test")
    chosen = log.history_length[rows] < 20
    found = slice_metrics(workspace, slots, p_click, (SHORT,))["history_below=20"]
    assert found.impressions == chosen.sum() > 0
    user = log.user_id[rows][chosen]
    assert found.gauc == gauc(log.click[rows][chosen], p_click[chosen], user)


def test_influence_values_follow_the_order_of_all_test_users(workspace, slots, p_click):
    log = slots.impressions
    rows = log.rows("test")
    users = np.unique(log.user_id[rows])
    found = user_influences(workspace, slots, p_click, (SHORT, NONE))
    expected = influences(log.click[rows], p_click, log.user_id[rows])["gauc"].per_user
    np.testing.assert_array_equal(found["test/gauc"], expected)
    evaluable = [
        len(own)
        for u in users
        if len(set((own := log.click[rows][log.user_id[rows] == u]).tolist())) == 2
    ]
    effective = sum(evaluable) ** 2 / sum(n**2 for n in evaluable)
    assert found["test/gauc/worth"] == pytest.approx(effective)
    chosen = log.history_length[rows] < 20
    assert found["history_below=20/impressions"].tolist() == [chosen.sum()]
    absent = ~np.isin(users, log.user_id[rows][chosen])
    assert found["history_below=20/auc"].shape == users.shape
    assert (found["history_below=20/auc"][absent] == 0).all()
    own = influences(log.click[rows][chosen], p_click[chosen], log.user_id[rows][chosen])
    np.testing.assert_array_equal(found["history_below=20/auc"][~absent], own["auc"].per_user)
