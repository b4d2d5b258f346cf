import numpy as np
import pytest

from ctrbench.errors import DataError
from ctrbench.metrics import auc, gauc, log_loss, predicted_over_observed


@pytest.mark.parametrize(
    ("click", "p", "weight", "message"),
    [
        ([0, 1, 2], [0.1] * 3, None, r"click .*1 of 3 .*row 2: 2"),
        ([0, 1], [0.1, np.nan], None, "p_click .*1 of 2 .*row 1: nan"),
        ([0, 1], [0.1, np.inf], None, "p_click .*row 1: inf"),
        ([0, 1], [0.1], None, "click 2, p_click 1"),
        ([0, 1], [[0.1, 0.2]], None, r"p_click .*\(1, 2\)"),
        ([0, 1], ["a", "b"], None, "p_click .*<U1"),
        ([0, 1], [0.1, 0.2], [1, 0], "weight .*1 of 2 "),
        ([0, 1], [0.1, 0.2], [1], "weight 1"),
        ([0, np.nan], [0.1, 0.2], [1, -1], "(?s)click .*1 of 2 .*weight .*1 of 2 "),
        ([1, 1], [0.1, 0.2], None, "2 of 2 "),
        ([], [], None, "0 of 0 "),
    ],
)
def test_unfit_arrays_are_refused(click, p, weight, message):
    with pytest.raises(DataError, match=message):
        auc(click, p, weight)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([1], "user_id .* 2"),
        ([1.0, 2.0], "user_id .*float64"),
        ([1, None], "user_id .*object"),
        ([1, 2], "2 users"),
    ],
)
def test_unfit_users_are_refused(users, message):
    with pytest.raises(DataError, match=message):
        gauc([0, 1], [0.1, 0.2], users)


def test_probabilities_must_be_probabilities():
    with pytest.raises(DataError, match=r"p_click .*row 1: 1\.5"):
        log_loss([0, 1], [0.1, 1.5])
    with pytest.raises(DataError, match="log loss"):
        log_loss([], [])
    with pytest.raises(DataError, match="2 rows"):
        predicted_over_observed([0, 0], [0.1, 0.5])
