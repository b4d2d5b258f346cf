import numpy as np

from ctrbench.datasets._negatives import draw

CLICKED = np.array([0 * 5 + 0, 0 * 5 + 1, 1 * 5 + 2])  # of five items user 0 clicks two, user 1 one


def chance():
    return np.random.default_rng(0)


def test_draws_follow_the_weights_of_what_is_left():
    drawn = draw(np.zeros(30_000, np.int64), 1, CLICKED, np.array([9, 9, 1, 2, 3]), chance())
    shares = np.bincount(drawn[:, 0], minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [0, 0, 1 / 6, 2 / 6, 3 / 6], atol=0.01)


def test_a_row_holds_an_item_once():
    drawn = draw(np.ones(500, np.int64), 4, CLICKED, np.ones(5, np.int64), chance())
    assert {tuple(sorted(row)) for row in drawn} == {(0, 1, 3, 4)}


def test_what_cannot_be_drawn_is_left_out():
    drawn = draw(np.zeros(3, np.int64), 4, CLICKED, np.ones(5, np.int64), chance())
    assert {tuple(sorted(row)) for row in drawn} == {(-1, 2, 3, 4)}
    drawn = draw(np.zeros(3, np.int64), 2, CLICKED, np.array([5, 5, 0, 1, 0]), chance())
    assert {tuple(row) for row in drawn} == {(3, -1)}
