"""Sessions of users, and the exposure policy that selects and ranks their items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_synth.world import DAY_S, KINDS, World

LONGEST_SESSION = 24  # impressions
GAP_S = (2, 40)  # seconds between impressions of a session: minimum, exclusive maximum
LONGEST_SESSION_S = LONGEST_SESSION * GAP_S[1]
RHYTHM = 0.6  # strength of the shift towards the evening; at 1 nobody visits at night
SCORES_APART = 1e4  # exceeds any difference of scores
RANKING_NOISE = 1.0  # scale of the Gumbel noise on log popularity, the rank within a session


@dataclass(frozen=True)
class Shown:
    """n impressions, grouped by session and sorted by time."""

    visitor: np.ndarray  # (sessions,) int32 row of Users
    start: np.ndarray  # (sessions,) seconds since the start of the world
    session: np.ndarray  # (n,) row of `visitor` and `start`
    item: np.ndarray  # (n,) int32 row of Items
    time: np.ndarray  # (n,) int64 seconds since the start
    position: np.ndarray  # (n,) int16, position in the session, from 1

    @property
    def user(self) -> np.ndarray:
        """Return (n,) int32, rows of Users."""
        return self.visitor[self.session]


@dataclass(frozen=True)
class Shelf:
    """The items of one category, sorted by birth."""

    items: np.ndarray  # (n,) rows of Items
    birth: np.ndarray  # (n,) seconds, ascending
    mass: np.ndarray  # (n + 1,) cumulative popularity of earlier items


@dataclass(frozen=True)
class Policy:
    """The precomputed inputs of the exposure policy of a world."""

    world: World
    shelves: tuple[Shelf, ...]  # one per category
    activity: np.ndarray  # (U,) cumulative share of the sessions
    liking: np.ndarray  # (U, C) float32, exposure weight of a category
    log_popularity: np.ndarray  # (I,)


def make_policy(world: World) -> Policy:
    """Return the policy of a world."""
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
    """Draw sessions that start within a time window until they contain `count` impressions.

    Args:
        policy: The policy of the world.
        count: The number of impressions; the last session is truncated.
        window: The window in seconds, before `rhythm`; sessions can end after it.
        rng: The only source of randomness.
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
    order = np.argsort(session * SCORES_APART - score)  # by session, highest score first
    return Shown(
        visitor, start, session, item[order], time.astype(np.int64), position.astype(np.int16)
    )


def rhythm(moment: np.ndarray) -> np.ndarray:
    """Return times shifted towards the evening; order and day are preserved.

    Args:
        moment: (n,) float, seconds, uniform in time.

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
    """Return (n,) int32, the item of each impression: first a category, then an item of it.

    Both are drawn in proportion to the popularity on the shelf at the start of the session. The
    share of a category is also weighted by exp(exposure_by_category * the user's category taste).

    Args:
        policy: The policy of the world.
        visitor: (sessions,) int, rows of Users.
        start: (sessions,) float, seconds.
        session: (n,) int, rows of `visitor` and `start`.
        rng: The only source of randomness.
    """
    life = KINDS[policy.world.config.kind].shelf_life * policy.world.config.duration_s
    shelves = policy.shelves
    shape = len(visitor), len(shelves)
    low = np.empty(shape)  # cumulative popularity of the items that have left each shelf
    high = np.empty(shape)  # ... and of those that have arrived
    for category, shelf in enumerate(shelves):
        arrived = np.searchsorted(shelf.birth, start, side="right")
        left = np.searchsorted(shelf.birth, start - life, side="right")
        low[:, category], high[:, category] = shelf.mass[left], shelf.mass[arrived]
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
