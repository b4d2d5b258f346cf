"""A log with users of different taste, and models of it that err by seed and by user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ctrbench.stats import Influence


class Hardness(Protocol):
    """What a design says of logs and models."""

    users: int
    rows: int
    ctr: float
    values: int
    seed_sd: float
    mixed_sd: float
    weighted: bool


@dataclass(frozen=True)
class Log:
    """U users with n impressions each."""

    logit: np.ndarray  # (U, n) of the true click probability
    click: np.ndarray  # (U, n) bool
    weight: np.ndarray  # (U, n)


def draw_log(design: Hardness, rng: np.random.Generator) -> Log:
    """Users with leniency of their own see items of every quality."""
    shape = (design.users, design.rows)
    logit = rng.normal(0, 0.7, (design.users, 1)) + rng.normal(0, 1, shape)
    logit += np.log(design.ctr / (1 - design.ctr))
    click = rng.random(shape) < 1 / (1 + np.exp(-logit))
    weight = rng.lognormal(0, 0.7, shape) if design.weighted else np.ones(shape)
    return Log(logit, click, weight)


def draw_predictions(
    design: Hardness, log: Log, quality: float, rng: np.random.Generator
) -> np.ndarray:
    """What one trained model predicts (U, n): the truth, scaled by the model's quality, and noise.

    Quality moves with the seed; what is wrong about a user moves with user and seed.
    """
    users, rows = log.logit.shape
    scale = 1 + quality + design.seed_sd * rng.normal()
    bent = design.mixed_sd * rng.normal(size=(users, 1)) * rng.normal(size=(users, rows))
    score = scale * (log.logit - log.logit.mean()) + bent + rng.normal(0, 2, (users, rows))
    p = 1 / (1 + np.exp(-score / 3))
    return np.ceil(p * design.values) / design.values if design.values else p


def measured(log: Log, p: np.ndarray) -> dict[str, Influence]:
    """AUC and GAUC with influence values: ctrbench.stats.influences, fast for users of one size."""
    yes, no = log.weight * log.click, log.weight * ~log.click
    if not (yes.any() and no.any()):
        return {}
    found = {"auc": _auc(yes, no, p)}
    evaluable = log.click.any(axis=1) & ~log.click.all(axis=1)
    if evaluable.any():
        above = (p[:, :, None] > p[:, None, :]) + 0.5 * (p[:, :, None] == p[:, None, :])
        area = (yes[:, None, :] @ above @ no[:, :, None]).ravel()
        pairs = np.where(evaluable, yes.sum(axis=1) * no.sum(axis=1), 1)
        share = evaluable * log.weight.sum(axis=1)
        value = float(np.average(area / pairs, weights=share))
        found["gauc"] = Influence(value, share / share.sum() * (area / pairs - value))
    return found


def _auc(yes: np.ndarray, no: np.ndarray, p: np.ndarray) -> Influence:
    place = np.where(yes > 0, _below(p, no), 1 - _below(p, yes))  # ties count one half either way
    value = float(np.sum(yes * place) / yes.sum())
    per_row = (place - value) * (yes / yes.sum() + no / no.sum())
    return Influence(value, per_row.sum(axis=1))


def _below(p: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The share of a class's weight that lies below each prediction, ties one half."""
    order = np.argsort(p, axis=None)
    ordered, mass = p.ravel()[order], np.concatenate([[0.0], weight.ravel()[order].cumsum()])
    low, high = (np.searchsorted(ordered, p, side=side) for side in ("left", "right"))
    return (mass[low] + mass[high]) / (2 * mass[-1])
