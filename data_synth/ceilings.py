"""What any model could reach at best, from the true probabilities alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.metrics import evaluate
from data_synth.clicks import Log, sigmoid
from data_synth.world import World


def without_style(world: World, log: Log) -> np.ndarray:
    """The click probability with style integrated out: the mean over the styles of the category.

    All else is given: the user with all tastes; the item's category and quality; the moment.
    Within a category exposure does not look at style, so its items are equally likely styles.

    Returns:
        (N,) probabilities.
    """
    items, strength = world.items, world.config.style_strength
    probability = np.empty(len(log.user))
    for category in range(world.config.categories):
        rows = np.flatnonzero(items.category[log.item] == category)
        styles = items.style[items.category == category]
        term = strength * world.users.taste[log.user[rows]] @ styles.T  # (rows, items)
        probability[rows] = sigmoid(log.rest[rows, None] + term).mean(axis=1)
    return probability


@dataclass(frozen=True)
class Attainable:
    """GAUC on the log's last fifth, its test period; None where no user has both classes."""

    gauc: float | None  # of the true probability
    gauc_without_style: float | None

    def __str__(self) -> str:
        if self.gauc is None or self.gauc_without_style is None:
            return "GAUC is not defined: no user of the test period has a click and a non-click"
        gain = 100 * (self.gauc - self.gauc_without_style)
        return (
            f"GAUC {100 * self.gauc_without_style:.2f} without style, {100 * self.gauc:.2f} with "
            f"it ({gain:+.2f} pp)"
        )


def attainable(log: Log, p_without_style: np.ndarray) -> Attainable:
    """What a model that knew everything would reach, and one that knew all but styles."""
    test = slice(round(0.8 * len(log.user)), None)
    gauc, gauc_without_style = (
        evaluate(log.click[test], p[test], log.user[test]).gauc
        for p in (log.p_true, p_without_style)
    )
    return Attainable(gauc, gauc_without_style)
