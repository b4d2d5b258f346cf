import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from ctrbench.errors import DataError
from ctrbench.metrics import calibration_error, find
from ctrbench.metrics.calibration_error import BINS
from tests.metrics.made import EXACT, random_log


def _slow(click, p, weight):
    """Return the error by one pass over rows; equal predictions share their middle rank."""
    total, sums = weight.sum(), {}
    for own, clicked, mass in zip(p, click, weight, strict=True):
        middle = weight[p < own].sum() + weight[p == own].sum() / 2
        place = min(int(np.floor(BINS * middle / total + 1e-10)), BINS - 1)
        sums[place] = sums.get(place, 0.0) + mass / total * (own - clicked)
    return sum(map(abs, sums.values()))


@pytest.mark.parametrize("levels", [3, 30, 10**6])
@pytest.mark.parametrize("weighted", [False, True])
def test_error_by_a_loop(levels, weighted):
    click, p, _, weight = random_log(500, 1, levels)
    weight = weight if weighted else np.ones(len(p))
    assert calibration_error(click, p, weight) == pytest.approx(_slow(click, p, weight), **EXACT)


def test_error_by_torchmetrics_where_bins_of_equal_mass_have_equal_width():
    draw = np.random.default_rng(0)
    p = ((np.arange(2_000) + 0.5) / 2_000).astype(np.float32)
    click = (draw.random(2_000) < p**2).astype(int)
    expected = binary_calibration_error(torch.tensor(p), torch.tensor(click), BINS, "l1")
    assert calibration_error(click, p) == pytest.approx(float(expected), abs=1e-6)


def test_calibrated_predictions_have_a_small_error_and_shifted_ones_the_shift():
    draw = np.random.default_rng(0)
    p = draw.uniform(0.1, 0.6, 200_000)
    click = (draw.random(len(p)) < p).astype(int)
    assert calibration_error(click, p) < 0.005
    assert calibration_error(click, p + 0.2) == pytest.approx(0.2, abs=0.003)


def test_differences_have_no_interval():
    assert not find("calibration_error").has_influence


def test_unfit_predictions():
    with pytest.raises(DataError) as raised:
        calibration_error([], [])
    assert str(raised.value) == "the calibration error needs at least one row; there is none."
    with pytest.raises(DataError, match=r"p_click must be a probability in \[0, 1\]"):
        calibration_error([1, 0], [1.5, 0.2])
