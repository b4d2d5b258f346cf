"""What was shown to whom and when, its true click probability, and the click drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.seeding import stream
from data_synth.world import World


@dataclass(frozen=True)
class Log:
    """N impressions in order of time, at equal times of user."""

    user: np.ndarray  # (N,) row of Users
    item: np.ndarray  # (N,) row of Items
    time: np.ndarray  # (N,) seconds since the start; those of one user are all different
    rest: np.ndarray  # (N,) logit of the click without its style term
    p_true: np.ndarray  # (N,) probability of the click
    click: np.ndarray  # (N,) int8, drawn from p_true


def make_log(world: World) -> Log:
    """Show items to users and draw their clicks."""
    user, time = _visits(world)
    item = _shown(world, user, time)
    rest, style = _rest(world, user, item), style_term(world, user, item)
    rest += _intercept(rest + style, world.config.ctr)
    p_true = sigmoid(rest + style)
    click = stream(world.config.seed, "click").random(len(user)) < p_true
    return Log(user, item, time, rest, p_true, click.astype(np.int8))


def style_term(world: World, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """What style adds to the click's logit: strength * <taste, style>.

    Args:
        world: the hidden truth.
        user: (N,) rows of Users.
        item: (N,) rows of Items.

    Returns:
        (N,) logits.
    """
    product = np.einsum("nd,nd->n", world.users.taste[user], world.items.style[item])
    return world.config.style_strength * product


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """The probability of a logit."""
    return 1 / (1 + np.exp(-logit))


def _visits(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Who came when: user rows (N,) and seconds (N,), in order of time, at equal times of user."""
    config = world.config
    count, span = config.impressions, 4 * config.duration_s + config.impressions
    visits = stream(config.seed, "visits").multinomial(count, world.users.activity)
    user = np.repeat(np.arange(config.users), visits)
    second = stream(config.seed, "time").integers(0, config.duration_s, size=count)
    moment = np.sort(user * span + second)  # one line of time, a stretch of `span` to each user
    step = np.arange(count)
    moment = np.maximum.accumulate(moment - step) + step  # an equal second becomes the next one
    user, time = np.divmod(moment, span)
    order = np.lexsort((user, time))
    return user[order], time[order]


def _shown(world: World, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The item (N,) shown at each visit: first its category is drawn, then the item in it.

    Both in proportion to the popularity of the items born by then; the category's share is also
    weighted by exp(exposure_by_category * the user's category taste).
    """
    config, items = world.config, world.items
    draws = stream(config.seed, "exposure").random((2, len(user)))
    by_birth = [
        _sorted_by(items.birth, np.flatnonzero(items.category == category))
        for category in range(config.categories)
    ]
    born = [np.searchsorted(items.birth[members], time, side="right") for members in by_birth]
    mass = [np.concatenate([[0.0], items.popularity[members].cumsum()]) for members in by_birth]
    available = np.stack([mass[c][born[c]] for c in range(config.categories)], axis=1)  # (N, C)
    liking = np.exp(config.exposure_by_category * world.users.category_taste)
    share = (available * liking[user]).cumsum(axis=1)
    category = (share[:, :-1] <= draws[0, :, None] * share[:, -1:]).sum(axis=1)
    item = np.empty(len(user), dtype=np.int64)
    for c, members in enumerate(by_birth):
        rows = np.flatnonzero(category == c)
        point = draws[1, rows] * available[rows, c]
        item[rows] = members[np.searchsorted(mass[c][1:], point, side="right")]
    return item


def _sorted_by(key: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(key[rows], kind="stable")]


def _rest(world: World, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """The click's logit (N,) without intercept and style."""
    config, users, items = world.config, world.users, world.items
    return (
        config.leniency_sd * users.leniency[user]
        + config.quality_sd * items.quality[item]
        + config.category_sd * users.category_taste[user, items.category[item]]
    )


def _intercept(logit: np.ndarray, ctr: float) -> float:
    """The number that, added to every logit, makes the mean probability `ctr`; by bisection."""
    low, high = -logit.max() - 20, -logit.min() + 20
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logit + middle).mean() < ctr else (low, middle)
    return (low + high) / 2
