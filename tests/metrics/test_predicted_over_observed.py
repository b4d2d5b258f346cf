import pytest

from ctrbench.metrics import predicted_over_observed


def test_predicted_over_observed_by_hand():
    assert predicted_over_observed([1, 0], [0.5, 0.1]) == pytest.approx(0.6)
    assert predicted_over_observed([1, 0], [0.5, 0.1], [1, 3]) == pytest.approx(0.2 / 0.25)
