import numpy as np

from ctrbench.datasets._negatives import draw

CLICKED = np.array([0 * 5 + 0, 0 * 5 + 1, 1 * 5 + 2])  # user 0 clicks two of five items, user 1 one


def chance():
    return np.random.default_rng(0)


def test_draws_follow_the_weights_of_unclicked_items():
    drawn = draw(np.zeros(30_000, np.int64), 1, CLICKED, np.array([9, 9, 1, 2, 3]), chance())
    shares = np.bincount(drawn[:, 0], minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [0, 0, 1 / 6, 2 / 6, 3 / 6], atol=0.01)


def test_items_of_a_row_are_distinct():
    drawn = draw(np.ones(500, np.int64), 4, CLICKED, np.ones(5, np.int64), chance())
    assert {tuple(sorted(row)) for row in drawn} == {(0, 1, 3, 4)}


def test_missing_draws_are_omitted():
    drawn = draw(np.zeros(3, np.int64), 4, CLICKED, np.ones(5, np.int64), chance())
    assert {tuple(sorted(row)) for row in drawn} == {(-1, 2, 3, 4)}
    drawn = draw(np.zeros(3, np.int64), 2, CLICKED, np.array([5, 5, 0, 1, 0]), chance())
    assert {tuple(row) for row in drawn} == {(3, -1)}


def test_users_with_few_unclicked_items_consume_no_draws():
    stream = chance()
    drawn = draw(np.array([1, 0, 1]), 10**9, CLICKED, np.ones(5, np.int64), stream)
    assert drawn.tolist() == [[0, 1, 3, 4, -1], [2, 3, 4, -1, -1], [0, 1, 3, 4, -1]]
    assert stream.random() == chance().random()


def test_draws_do_not_depend_on_users_with_few_unclicked_items():
    users = np.repeat([2, 0, 3], 50)  # no clicks of users 2 and 3; user 0 has 3 items left
    mixed = draw(users, 3, CLICKED, np.ones(5, np.int64), chance())
    alone = draw(users[users != 0], 3, CLICKED, np.ones(5, np.int64), chance())
    assert mixed[users != 0].tolist() == alone.tolist()
    assert {tuple(row) for row in mixed[users == 0]} == {(2, 3, 4)}
