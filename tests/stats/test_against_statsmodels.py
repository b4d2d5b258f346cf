"""Clustered standard errors and p-value corrections equal those of statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from ctrbench.metrics import grouped_auc
from ctrbench.stats import compare_predictions, influences, standard_error
from ctrbench.stats.family import benjamini_hochberg, holm


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    user = np.sort(rng.choice(70, 900, p=rng.dirichlet(np.full(70, 1.5))))
    click = rng.integers(0, 2, 900)
    ours, theirs = rng.uniform(0.02, 0.98, (2, 900))
    return user, click, np.clip(ours + 0.2 * click, 0.01, 0.99), theirs, rng.uniform(0.5, 2, 900)


@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_difference_is_a_regression_of_user_means_with_cr2_errors(log, weighted):
    user, click, ours, theirs, weight = log
    loss = [-np.log(np.where(click, p, 1 - p)) for p in (ours, theirs)]
    used = weight if weighted else np.ones(len(user))
    _, of_user = np.unique(user, return_inverse=True)
    mass = np.bincount(of_user, used)
    mean = np.bincount(of_user, used * (loss[0] - loss[1])) / mass
    fitted = sm.WLS(mean, np.ones(len(mass)), weights=mass).fit()
    one, two = (influences(click, p, user, used)["log_loss"] for p in (ours, theirs))
    assert one.value - two.value == pytest.approx(fitted.params[0])
    assert standard_error(one.per_user - two.per_user) == pytest.approx(_cr2(fitted))


def test_gauc_difference_is_a_regression_of_user_aucs_with_cr2_errors(log):
    user, click, ours, theirs, _ = log
    one, two = (grouped_auc(click, p, user) for p in (ours, theirs))
    used = one.evaluable
    delta, constant = (one.auc - two.auc)[used], np.ones(used.sum())
    fitted = sm.WLS(delta, constant, weights=one.impressions[used]).fit()
    found = compare_predictions(click, user, ours, theirs)
    assert found.estimate == pytest.approx(fitted.params[0])
    assert found.standard_error == pytest.approx(_cr2(fitted))
    reference = sm.OLS(delta, constant).fit(cov_type="HC2")
    found = compare_predictions(click, user, ours, theirs, "gauc_users")
    assert found.standard_error == pytest.approx(reference.bse[0])


def _cr2(fitted) -> float:
    """Return the standard error of Bell and McCaffrey 2002 in matrix form."""
    hat = np.outer(
        fitted.model.exog[:, 0], fitted.model.pinv_wexog[0] * np.sqrt(fitted.model.weights)
    )
    left = np.eye(len(hat)) - hat
    return float(np.sqrt(np.sum((hat[0] * fitted.resid) ** 2 / np.diag(left @ left.T))))


def test_corrections_of_p_values():
    p = np.random.default_rng(1).beta(0.4, 2, 30)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])
