from itertools import permutations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from ctrbench.errors import DataError
from ctrbench.stats.ranks import rank


def test_ranks_by_hand():
    found = rank([[0.3, 0.1, 0.2], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1]], ["a", "b", "c"])
    assert found.contenders == ("a", "b", "c")
    assert found.mean_ranks == pytest.approx((4 / 3, 2, 8 / 3))
    assert [(pair.one, pair.other, pair.wins) for pair in found.pairs] == [
        ("a", "b", 2),
        ("a", "c", 3),
        ("b", "c", 2),
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_and_wilcoxon_against_scipy(ties):
    scores = np.random.default_rng(0).normal([0.5, 0, 0, -0.5], size=(9, 4))
    scores = np.round(scores) if ties else scores
    found = rank(scores, list("abcd"))
    statistic = friedmanchisquare(*scores.T).statistic
    f = 8 * statistic / (9 * 3 - statistic)
    from scipy.stats import f as fisher

    assert found.p_global == pytest.approx(fisher.sf(f, 3, 24))
    if not ties:
        for pair in found.pairs:
            one, other = (scores[:, "abcd".index(name)] for name in (pair.one, pair.other))
            assert pair.p_value == pytest.approx(wilcoxon(one, other, method="exact").pvalue)


def test_signed_ranks_with_ties_by_all_signs():
    differences = np.array([1.0, 1.0, -1.0, 2.0, 0.0, 3.0])
    found = rank(np.stack([differences, np.zeros(6)], axis=1), ["a", "b"]).pairs[0]
    ranks = np.array([2, 2, 2, 4, 5])
    sums = [sum(ranks[list(signs)]) for signs in _subsets(5)]
    assert found.p_value == pytest.approx(2 * np.mean(np.array(sums) <= 2))
    assert found.wins == 4


def _subsets(n: int):
    return [[i for i in range(n) if code >> i & 1] for code in range(2**n)]


def test_one_order_everywhere_is_exact():
    """On two data sets with three contenders, both orders agree by chance with probability 1/6."""
    found = rank([[3, 2, 1], [3, 2, 1]], list("abc"))
    assert found.p_global == pytest.approx(1 / len(list(permutations("abc"))))


def test_two_contenders_have_no_test_of_all():
    found = rank([[1, 0]] * 6, ["a", "b"])
    assert found.p_global is None
    assert found.pairs[0].p_value == found.least_p == 2 / 64
    assert found.datasets_needed == 6


def test_equal_everywhere():
    found = rank([[1, 1, 1]] * 4, list("abc"))
    assert found.p_global == 1
    assert {pair.p_value for pair in found.pairs} == {1.0}


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1, 2]], "1 and 2"),
        ([[1, 2], [1, np.nan]], "score"),
        ([[1, 2, 3], [1, 2, 3]], r"\(2, 3\) .* 2 contenders"),
    ],
)
def test_invalid_arguments(scores, message):
    with pytest.raises(DataError, match=message):
        rank(scores, ["a", "b"])


def test_ties_are_not_wins():
    pair = rank([[1, 0]] * 3 + [[0, 0]] * 5 + [[0, 1]], ["a", "b"]).pairs[0]
    assert (pair.wins, pair.losses) == (3, 1)
