"""The true click probability of each impression, the click drawn from it, and the sorted log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np

from ctrbench.seeding import stream
from data_synth.ceilings import without_style
from data_synth.exposure import LONGEST_SESSION_S, Policy, Shown, make_policy, rhythm, show
from data_synth.world import World, WorldConfig

BLOCK = 1 << 18  # impressions per block; part of a world's definition, not a setting
CALIBRATION = 1 << 16  # separate impressions that determine the intercept


@dataclass(frozen=True)
class Log:
    """Impressions in the order of a data set: time, user, item, click, position."""

    user: np.ndarray  # (N,) int32 row of Users
    item: np.ndarray  # (N,) int32 row of Items
    time: np.ndarray  # (N,) int64 seconds since the start
    position: np.ndarray  # (N,) int16, position in the session, from 1
    p_true: np.ndarray  # (N,) float32, click probability
    p_without_style: np.ndarray  # (N,) float32, style integrated out
    click: np.ndarray  # (N,) int8, drawn from p_true

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray | slice) -> Log:
        """Return the log of the given rows."""
        return Log(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class ClickModel:
    """Exposure policy and intercept, which determine each block of the log."""

    policy: Policy
    intercept: float  # gives the click probability the mean `ctr`

    @property
    def world(self) -> World:
        """Return the hidden truth."""
        return self.policy.world


def make_click_model(world: World) -> ClickModel:
    """Return the click model of a world; the same world gives the same model."""
    config, policy = world.config, make_policy(world)
    rng = stream(config.seed, "calibration")
    shown = show(policy, CALIBRATION, (0, config.duration_s), rng)
    logit = _rest(world, shown) + _style_term(world, shown, *_tastes_of(world, shown))
    return ClickModel(policy, _intercept(logit, config.ctr))


def blocks(config: WorldConfig) -> int:
    """Return the number of blocks, which is the number of parts, of a world's log."""
    return -(-config.impressions // BLOCK)


def make_log(world: World) -> Log:
    """Return the whole log in memory."""
    return _joined(list(log_parts(make_click_model(world))))


def log_parts(model: ClickModel, first: int = 0, workers: int = 1) -> Iterator[Log]:
    """Yield the log in parts of about `BLOCK` impressions.

    Part k contains the impressions of block k within its time window, and those of sessions that
    started in an earlier window. The parts do not depend on `first` or `workers`.

    Args:
        model: The click model of the world.
        first: The first part to yield.
        workers: The number of threads that draw blocks ahead.
    """
    config = model.world.config
    last = blocks(config) - 1
    lookback = int(LONGEST_SESSION_S * config.impressions / (BLOCK * config.duration_s)) + 2
    late: list[Log] = []
    for number, block in _ahead(model, range(max(first - lookback, 0), last + 1), workers):
        there = _joined([*late, block])
        after = there.time >= rhythm(np.array(_window(config, number)[1]))
        late = [there.take(after)]
        if number >= first:
            yield _in_order(there if number == last else there.take(~after))


def tastes(world: World, shown: Shown) -> np.ndarray:
    """Return the tastes at the start of each session, rotated from `taste` towards `drift`.

    Args:
        world: The hidden truth.
        shown: The sessions.

    Returns:
        (sessions, d) float32.
    """
    angle = np.deg2rad(world.config.drift_deg) / world.config.duration_s * shown.start
    initial, drift = world.users.taste[shown.visitor], world.users.drift[shown.visitor]
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return cos[:, None] * initial + sin[:, None] * drift


def _tastes_of(world: World, shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    """Return the tastes for the categories of the items shown; see `World.tastes_of`."""
    category = world.items.category[shown.item]
    return world.tastes_of(tastes(world, shown), shown.session, category)


def _style_term(world: World, shown: Shown, taste: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return (n,) float32, the style term: strength * <taste at the session's start, style>."""
    product = np.einsum("nd,nd->n", taste[row], world.items.style[shown.item])
    return np.float32(world.config.style_strength) * product


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return the probability of a logit."""
    return 1 / (1 + np.exp(-logit))


def _window(config: WorldConfig, number: int) -> tuple[float, float]:
    """Return the time window, in seconds, in which the sessions of a block start."""
    share = config.duration_s / config.impressions
    return number * BLOCK * share, min((number + 1) * BLOCK, config.impressions) * share


def _block(model: ClickModel, number: int) -> Log:
    """Return one block, a pure function of the world and the block's number."""
    world = model.world
    count = min(BLOCK, world.config.impressions - number * BLOCK)
    rng = stream(world.config.seed, "block", number)
    shown = show(model.policy, count, _window(world.config, number), rng)
    rest = np.float32(model.intercept) + _rest(world, shown)
    taste, row = _tastes_of(world, shown)
    p_true = sigmoid(rest + _style_term(world, shown, taste, row))
    category = world.items.category[shown.item]
    p_without_style = without_style(world, taste, row, category, rest)
    click = (rng.random(count) < p_true).astype(np.int8)
    return Log(shown.user, shown.item, shown.time, shown.position, p_true, p_without_style, click)


def _ahead(model: ClickModel, numbers: range, workers: int) -> Iterator[tuple[int, Log]]:
    """Yield blocks in order, drawn by threads; at most `workers` blocks are pending."""
    waiting: deque[tuple[int, Future[Log]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for number in numbers:
            waiting.append((number, pool.submit(_block, model, number)))
            if len(waiting) > workers:
                due, block = waiting.popleft()
                yield due, block.result()
        for due, block in waiting:
            yield due, block.result()


def _joined(parts: list[Log]) -> Log:
    columns = (
        np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Log)
    )
    return Log(*columns)


def _in_order(log: Log) -> Log:
    """Sort by time and user; ties are sorted by item, click and position."""
    key = log.time << 31 | log.user
    order = np.argsort(key, kind="stable")
    same = np.diff(key[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[tied]
    by = (log.position[rows], log.click[rows], log.item[rows], key[rows])
    order[tied] = rows[np.lexsort(by)]
    return log.take(order)


def _rest(world: World, shown: Shown) -> np.ndarray:
    """Return (n,) float32, the click logit without intercept and style term."""
    config, users, items = world.config, world.users, world.items
    visitor, session, item = shown.visitor, shown.session, shown.item
    of_user = config.leniency_sd * users.leniency[visitor]  # (sessions,)
    sense = config.price_sd * users.price_sense[visitor]  # (sessions,)
    category_taste = users.category_taste[visitor]  # (sessions, C)
    return (
        of_user[session]
        + config.quality_sd * items.quality[item]
        + config.category_sd * category_taste[session, items.category[item]]
        - sense[session] * items.price[item]
        - config.position_weight * np.log(shown.position, dtype=np.float32)
    ).astype(np.float32)


def _intercept(logit: np.ndarray, ctr: float) -> float:
    """Return the intercept for which the mean probability is `ctr`, by bisection."""
    low, high = -logit.max() - 20, -logit.min() + 20
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logit + middle).mean() < ctr else (low, middle)
    return float((low + high) / 2)
