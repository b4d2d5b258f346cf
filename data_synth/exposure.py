"""Who came when, and what was shown at which position: sessions, and the policy that fills them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_synth.world import DAY_S, KINDS, World

LONGEST_SESSION = 24  # impressions
GAP_S = (2, 40)  # seconds from one impression of a session to the next: at least, below
LONGEST_SESSION_S = LONGEST_SESSION * GAP_S[1]
RHYTHM = 0.6  # of how far moments are bent towards the evening; 1 would empty the night
SCORES_APART = 1e4  # more than any two scores can differ
RANKING_NOISE = 1.0  # of Gumbel noise on the logarithm of popularity, by which a session is ordered


@dataclass(frozen=True)
class Shown:
    """n impressions in some sessions, session by session, in the order of time."""

    visitor: np.ndarray  # (sessions,) int32 row of Users
    start: np.ndarray  # (sessions,) seconds since the start of the world
    session: np.ndarray  # (n,) row of the two
    item: np.ndarray  # (n,) int32 row of Items
    time: np.ndarray  # (n,) int64 seconds since the start
    position: np.ndarray  # (n,) int16 in the session, from 1

    @property
    def user(self) -> np.ndarray:
        """(n,) int32 row of Users."""
        return self.visitor[self.session]


@dataclass(frozen=True)
class Shelf:
    """The items of one category in the order of birth."""

    items: np.ndarray  # (n,) rows of Items
    birth: np.ndarray  # (n,) seconds, ascending
    mass: np.ndarray  # (n + 1,) popularity of the items before


@dataclass(frozen=True)
class Policy:
    """What deciding on exposure needs, computed once for a world."""

    world: World
    shelves: tuple[Shelf, ...]  # one per category
    activity: np.ndarray  # (U,) cumulated share of the sessions
    liking: np.ndarray  # (U, C) float32: by how much a category is shown more often
    log_popularity: np.ndarray  # (I,)


def make_policy(world: World) -> Policy:
    """Sort the shelves and cumulate what is drawn from."""
    items, weight = world.items, world.config.exposure_by_category
    return Policy(
        world,
        tuple(
            _shelf(world, np.flatnonzero(items.category == category))
            for category in range(world.config.categories)
        ),
        world.users.activity.cumsum(),
        np.exp(weight * world.users.category_taste),
        np.log(items.popularity),
    )


def _shelf(world: World, rows: np.ndarray) -> Shelf:
    items = world.items
    rows = rows[np.argsort(items.birth[rows], kind="stable")]
    mass = np.concatenate([[0.0], items.popularity[rows].cumsum()])
    return Shelf(rows.astype(np.int32), items.birth[rows], mass)


def show(
    policy: Policy, count: int, window: tuple[float, float], rng: np.random.Generator
) -> Shown:
    """Draw sessions that begin within a window of time until they hold `count` impressions.

    Args:
        policy: of the world.
        count: impressions; the last session is cut to fit.
        window: seconds, before the day's rhythm bends them; sessions outlast it.
        rng: the only source of chance.
    """
    world = policy.world
    length = np.minimum(rng.geometric(1 / world.config.session_length, count), LONGEST_SESSION)
    end = length.cumsum()
    length = length[: np.searchsorted(end, count) + 1]
    length[-1] -= length.sum() - count
    sessions = len(length)
    drawn = np.searchsorted(policy.activity, rng.random(sessions) * policy.activity[-1])
    visitor = drawn.astype(np.int32)  # (sessions,)
    start = rhythm(rng.uniform(*window, size=sessions))  # (sessions,)
    first = length.cumsum() - length  # row of each session's first impression
    session = np.repeat(np.arange(sessions), length)  # (count,)
    gap = rng.integers(*GAP_S, size=count).cumsum()
    time = start[session] + gap - gap[first][session]
    position = np.arange(count) - first[session] + 1
    item = _draw_items(policy, visitor, start, session, rng)
    score = policy.log_popularity[item] + rng.gumbel(scale=RANKING_NOISE, size=count)
    order = np.argsort(session * SCORES_APART - score)  # by session, in it the highest score first
    return Shown(
        visitor, start, session, item[order], time.astype(np.int64), position.astype(np.int16)
    )


def rhythm(moment: np.ndarray) -> np.ndarray:
    """Moments bent so that visits are dense in the evening; their order and whole days stay.

    Args:
        moment: (n,) seconds, uniform in time.

    Returns:
        (n,) seconds.
    """
    return moment - RHYTHM * DAY_S / (2 * np.pi) * np.sin(2 * np.pi * moment / DAY_S)


def _draw_items(
    policy: Policy,
    visitor: np.ndarray,
    start: np.ndarray,
    session: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The items (n,) of each session's impressions: first a category, then an item in it.

    Both in proportion to the popularity on the shelf when the session starts; the category's
    share is also weighted by exp(exposure_by_category * the user's category taste).

    Args:
        policy: of the world.
        visitor: (sessions,) rows of Users.
        start: (sessions,) seconds.
        session: (n,) rows of the two.
        rng: the only source of chance.
    """
    life = KINDS[policy.world.config.kind].shelf_life * policy.world.config.duration_s
    shelves = policy.shelves
    low = np.empty((len(visitor), len(shelves)))  # popularity gone from, and come to, each shelf
    high = np.empty_like(low)
    for category, shelf in enumerate(shelves):
        come = np.searchsorted(shelf.birth, start, side="right")
        gone = np.searchsorted(shelf.birth, start - life, side="right")
        low[:, category], high[:, category] = shelf.mass[gone], shelf.mass[come]
    share = ((high - low) * policy.liking[visitor]).cumsum(axis=1)  # (sessions, C)
    point = rng.random(len(session)) * share[session, -1]
    category = (share[session, :-1] <= point[:, None]).sum(axis=1)
    low, high = low[session, category], high[session, category]
    point = low + rng.random(len(session)) * (high - low)
    item = np.empty(len(session), np.int32)
    for number, shelf in enumerate(shelves):
        rows = np.flatnonzero(category == number)
        place = np.searchsorted(shelf.mass[1:], point[rows], side="right")
        item[rows] = shelf.items[np.minimum(place, len(shelf.items) - 1)]
    return item
