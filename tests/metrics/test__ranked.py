import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ctrbench.errors import DataError
from ctrbench.metrics import RankedAuc
from tests.metrics.made import EXACT


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranked_auc_of_a_resampling_is_that_of_its_rows(dtype):
    rng = np.random.default_rng(5)
    click, p = rng.random(400) < 0.3, np.round(rng.random(400), 2).astype(dtype)
    ranked = RankedAuc(click, p)
    for _ in range(5):
        times = rng.multinomial(400, np.full(400, 1 / 400))
        rows = np.repeat(np.arange(400), times)
        assert ranked.auc(times) == pytest.approx(roc_auc_score(click[rows], p[rows]), **EXACT)
    assert np.isnan(ranked.auc(click.astype(float)))


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, float])
def test_ranked_auc_takes_clicks_of_any_kind(kind):
    click, p = np.array([1, 0, 1, 0], kind), np.array([0.9, 0.1, 0.4, 0.4])
    assert RankedAuc(click, p).auc(np.ones(4)) == 0.875
    with pytest.raises(DataError, match="p_click must be finite; 1 of 4"):
        RankedAuc(click, np.array([0.9, np.nan, 0.4, 0.4]))
