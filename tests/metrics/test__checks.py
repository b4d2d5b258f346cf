import numpy as np
import pytest

from ctrbench.errors import DataError
from ctrbench.metrics import auc, gauc, log_loss, predicted_over_observed


@pytest.mark.parametrize(
    ("click", "p", "weight", "message"),
    [
        ([0, 1, 2], [0.1] * 3, None, r"click must be 0 or 1; 1 of 3 rows are not \(row 2: 2\)"),
        ([0, 1], [0.1, np.nan], None, r"p_click must be finite; 1 of 2 rows .*row 1: nan"),
        ([0, 1], [0.1, np.inf], None, "p_click must be finite"),
        ([0, 1], [0.1], None, "lengths differ: click 2, p_click 1"),
        ([0, 1], [[0.1, 0.2]], None, r"p_click must be one-dimensional numbers; .* \(1, 2\)"),
        ([0, 1], ["a", "b"], None, "p_click must be one-dimensional numbers"),
        ([0, 1], [0.1, 0.2], [1, 0], "weight must be finite and above 0; 1 of 2"),
        ([0, 1], [0.1, 0.2], [1], "lengths differ"),
        ([0, np.nan], [0.1, 0.2], [1, -1], "(?s)click must be 0 or 1.*weight must be"),
        ([1, 1], [0.1, 0.2], None, "AUC needs a click and a non-click; 2 of 2"),
        ([], [], None, "AUC needs a click and a non-click; 0 of 0"),
    ],
)
def test_unfit_arrays_are_refused(click, p, weight, message):
    with pytest.raises(DataError, match=message):
        auc(click, p, weight)


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([1], "one entry per row: 2"),
        ([1.0, 2.0], "user_id must be integers or strings; it is float64"),
        ([1, None], "user_id must be integers or strings; it is object"),
        ([1, 2], "none of 2 users has both"),
    ],
)
def test_unfit_users_are_refused(users, message):
    with pytest.raises(DataError, match=message):
        gauc([0, 1], [0.1, 0.2], users)


def test_probabilities_must_be_probabilities():
    with pytest.raises(DataError, match=r"p_click must be a probability in \[0, 1\].*row 1: 1.5"):
        log_loss([0, 1], [0.1, 1.5])
    with pytest.raises(DataError, match="at least one row"):
        log_loss([], [])
    with pytest.raises(DataError, match="none of 2 rows is one"):
        predicted_over_observed([0, 0], [0.1, 0.5])
