import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from ctrbench.metrics import log_loss
from tests.metrics.made import EXACT, random_log


def test_log_loss_by_hand_and_by_scikit_learn():
    click, p, _, weight = random_log(300, 1, 100)
    p = (p * 0.9 + 0.05).astype(np.float32)
    assert log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    expected = sklearn_log_loss(click, p.astype(float), sample_weight=weight)
    assert log_loss(click, p, weight) == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_a_certain_mistake_is_finite(dtype):
    assert log_loss([0, 1], np.array([1, 0], dtype)) == pytest.approx(24 * np.log(2))
