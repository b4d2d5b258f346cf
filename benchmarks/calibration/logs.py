"""Simulates a log, and models with errors per impression, item, user and seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.metrics import PAIR_BUCKETS, effective_size, pair_buckets

POPULARITY = 0.8  # exponent of the power law of item popularity


@dataclass(frozen=True)
class Design:
    """The properties of a log and its models."""

    name: str
    users: int = 100
    rows: int = 20  # impressions per user
    seeds: int = 5
    ctr: float = 0.25
    values: int = 0  # distinct predictions; 0: no ties
    seed_sd: float = 0.3  # standard deviation over seeds of the quality of a trained model
    mixed_sd: float = 0.5  # standard deviation of the error per user and seed
    arm_sd: float = (
        1.4  # standard deviation of the error per impression, shared by all seeds of an arm
    )
    noisy_mode: float = 1.0  # factor of the seed noise of one of two modes
    weighted: bool = False
    uneven: float = 0.0  # standard deviation of the log weight of users
    pareto: float = 0.0  # exponent of the weight of users; 0: equal weights
    clicking: int = 0  # number of users who may click; 0: all
    looks: tuple[int, ...] = ()  # seeds at each analysis; empty: one analysis, at the end
    family: bool = False  # judge six comparisons of four arms and two siblings together
    items: int = 300  # drawn with a power law of rank
    item_sd: float = 0.0  # standard deviation of the error per item, shared by all seeds of an arm
    carried_by: float = 1.0  # share of items with such an error, most popular first
    quality_sd: float = 0.0  # standard deviation of the true quality of items
    fixed: bool = False  # all replicates have the same qualities
    ignored: bool = False  # omit the item variance


@dataclass(frozen=True)
class SimulatedLog:
    """U users with n impressions each."""

    logit: np.ndarray  # (U, n) logit of the true click probability
    click: np.ndarray  # (U, n) bool
    weight: np.ndarray  # (U, n)
    item: np.ndarray  # (U, n) from 0, most popular first
    bucket: np.ndarray  # (U, n) bucket in the sketch of user-item pairs
    sign: np.ndarray  # (U, n)
    ignored: bool = False  # omit the item variance


@dataclass(frozen=True)
class MeasuredArm:
    """A metric of S models with its influence values; `Influence` for several models."""

    value: np.ndarray  # (S,)
    per_user: np.ndarray  # (S, U)
    effective_users: float  # effective number of users
    items: np.ndarray  # (S, I)
    pairs: np.ndarray  # (S, R)
    effective_items: float
    ignored: bool = False  # omit the item variance


def draw_log(design: Design, rng: np.random.Generator) -> SimulatedLog:
    """Draw a log.

    Args:
        design: The properties of the log.
        rng: The random stream.
    """
    shape = (design.users, design.rows)
    popularity = np.arange(1, design.items + 1) ** -POPULARITY
    item = rng.choice(design.items, shape, p=popularity / popularity.sum())
    offset = int(rng.integers(1 << 40))  # new ids, hence new hashes, in every replicate
    bucket, sign = (
        of_pair.reshape(shape)
        for of_pair in pair_buckets(offset + np.arange(design.users).repeat(shape[1]), item.ravel())
    )
    logit = rng.normal(0, 0.7, (design.users, 1)) + rng.normal(0, 1, shape)
    if design.quality_sd:
        own = np.random.default_rng(0) if design.fixed else rng
        logit += own.normal(0, design.quality_sd, design.items)[item]
    logit += np.log(design.ctr / (1 - design.ctr))
    click = rng.random(shape) < 1 / (1 + np.exp(-logit))
    weight = rng.lognormal(0, 0.7, shape) if design.weighted else np.ones(shape)
    if design.uneven:
        weight = weight * rng.lognormal(0, design.uneven, (design.users, 1))
    if design.pareto:
        weight = weight * (1 + rng.pareto(design.pareto, (design.users, 1)))
    if design.clicking:
        click[design.clicking :] = False
    return SimulatedLog(logit, click, weight, item, bucket, sign, design.ignored)


def draw_arm(
    design: Design,
    log: SimulatedLog,
    rng: np.random.Generator,
    quality: float = 0.0,
    noise: float = 1.0,
) -> np.ndarray:
    """Return (S, U, n) float, the predictions of the S trained models of an arm.

    A prediction is the true logit scaled by a quality that varies over seeds, plus an error that
    all seeds of the arm share, an error of each seed about each user, and noise.

    Args:
        design: The properties of the models.
        log: The log.
        rng: The random stream.
        quality: The additional quality of the arm; 0 for identically distributed arms.
        noise: A factor of the seed noise of the quality.
    """
    users, rows = log.logit.shape
    shape = (design.seeds, users, rows)
    scale = 1 + quality + noise * design.seed_sd * rng.normal(size=(design.seeds, 1, 1))
    score = scale * (log.logit - log.logit.mean()) + rng.normal(0, 1.4, shape)
    score += rng.normal(0, design.arm_sd, (users, rows))
    if design.item_sd:
        wrong = rng.normal(0, design.item_sd, design.items)
        wrong[int(design.carried_by * design.items) :] = 0
        score += wrong[log.item]
    if design.mixed_sd:
        of_user = rng.normal(0, design.mixed_sd, (design.seeds, users, 1))
        score += of_user * rng.normal(size=(users, rows))
    if not design.values:
        return score  # AUC and GAUC depend on the order only
    p = 1 / (1 + np.exp(-score / 3))
    return np.ceil(p * design.values) / design.values


def measure(log: SimulatedLog, p: np.ndarray) -> dict[str, MeasuredArm]:
    """Return AUC and GAUC of S models, as `ctrbench.metrics.influences` but vectorised.

    Args:
        log: A log of U users with n impressions each.
        p: (S, U, n) float, predictions; only their order matters.
    """
    yes, no = log.weight * log.click, log.weight * ~log.click
    found = {}
    if min((mass.any(axis=1)).sum() for mass in (yes, no)) > 1:
        found["auc"] = _auc(log, yes, no, p)
    evaluable = log.click.any(axis=1) & ~log.click.all(axis=1)
    if evaluable.sum() > 1:
        yes, no, p = yes[evaluable], no[evaluable], p[:, evaluable]
        mass = [one.sum(axis=1, keepdims=True) for one in (yes, no)]  # (U, 1)
        no_below, yes_below = _below(p, no, yes)
        place = np.where(yes > 0, no_below / mass[1], 1 - yes_below / mass[0])  # (S, U, n)
        area = (yes * place).sum(axis=2) / mass[0][:, 0]  # (S, U)
        share = log.weight[evaluable].sum(axis=1) / log.weight[evaluable].sum()
        value = area @ share
        per_user = np.zeros((len(p), len(evaluable)))
        per_user[:, evaluable] = _leverage(share) * share * (area - value[:, None])
        mine = np.zeros(log.click.shape)
        mine[evaluable] = share[:, None] * (yes / mass[0] + no / mass[1])
        moved = np.zeros((len(p), *log.click.shape))
        moved[:, evaluable] = mine[evaluable] * (place - value[:, None, None])
        found["gauc"] = _with_items(log, value, per_user, effective_size(share), moved, mine / 2)
    return found


def _auc(log: SimulatedLog, yes: np.ndarray, no: np.ndarray, p: np.ndarray) -> MeasuredArm:
    flat = p.reshape(len(p), -1)
    no_below, yes_below = (
        below.reshape(p.shape) for below in _below(flat, no.ravel(), yes.ravel())
    )
    place = np.where(yes > 0, no_below / no.sum(), 1 - yes_below / yes.sum())
    value = (yes * place).sum(axis=(1, 2)) / yes.sum()
    per_user = np.zeros(p.shape[:2])
    parts = [mass.sum(axis=1) / mass.sum() for mass in (yes, no)]
    deviation = place - value[:, None, None]
    for mass, part in zip((yes, no), parts, strict=True):
        moved = (deviation * mass / mass.sum()).sum(axis=2)
        per_user += _leverage(part, len(yes)) * moved
    mine = yes / yes.sum() + no / no.sum()
    effective_users = min(map(effective_size, parts))
    return _with_items(log, value, per_user, effective_users, mine * deviation, mine / 2)


def _with_items(
    log: SimulatedLog,
    value: np.ndarray,
    per_user: np.ndarray,
    effective_users: float,
    moved: np.ndarray,
    share: np.ndarray,
) -> MeasuredArm:
    """Sum (S, U, n) influence values of impressions by item and by pair."""
    item, bucket = log.item.ravel(), log.bucket.ravel()
    flat = moved.reshape(len(moved), -1)
    by_item = np.stack([np.bincount(item, one, minlength=1 + item.max()) for one in flat])
    by_pair = np.stack([np.bincount(bucket, log.sign.ravel() * one, PAIR_BUCKETS) for one in flat])
    part = np.bincount(item, share.ravel())
    return MeasuredArm(
        value, per_user, effective_users, by_item, by_pair, effective_size(part), log.ignored
    )


def _leverage(part: np.ndarray, users: int | None = None) -> np.ndarray:
    """Return the factor of `ctrbench.metrics.leverage` for a vector of shares."""
    count = np.count_nonzero(part) if users is None else users
    free = 1 - 2 * part + np.sum(np.square(part))
    return np.sqrt((count - 1) / count / np.where(part < 1, free, 1.0))


def _below(p: np.ndarray, *weights: np.ndarray) -> list[np.ndarray]:
    """Return the mass below each prediction of its row, per weight; ties count one half."""
    order = np.argsort(p, axis=-1)
    ordered = np.take_along_axis(p, order, axis=-1)
    places = np.arange(p.shape[-1])
    new = np.ones(p.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    first = np.maximum.accumulate(np.where(new, places, 0), axis=-1)
    last = np.roll(new, -1, axis=-1)  # last of its ties: the next prediction is larger
    following = np.where(last, places + 1, p.shape[-1])[..., ::-1]
    after = np.minimum.accumulate(following, axis=-1)[..., ::-1]
    found = []
    for weight in weights:
        mass = np.zeros((*p.shape[:-1], p.shape[-1] + 1))
        ranked = np.take_along_axis(np.broadcast_to(weight, p.shape), order, axis=-1)
        np.cumsum(ranked, axis=-1, out=mass[..., 1:])
        middle = np.take_along_axis(mass, first, axis=-1) + np.take_along_axis(mass, after, axis=-1)
        below = np.empty_like(middle)
        np.put_along_axis(below, order, middle / 2, axis=-1)
        found.append(below)
    return found
