"""The click probability with style integrated out: what a model blind to pictures could know."""

from __future__ import annotations

import numpy as np

from data_synth.world import KINDS, TRAITS, World

NODES = 5  # of the quadrature over an item's departure from its style's centre
CHUNK = 1 << 14  # impressions at a time, so that the sums stay in the processor's cache


def without_style(
    world: World, liked: np.ndarray, session: np.ndarray, category: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """The mean of the click probability over the styles that an item of the category may have.

    Given are the user with all tastes; the item's category, quality, price and popularity; the
    moment and the position. Left is the law of the styles in the category: which style, and in
    which direction, uniform on a sphere, the item departs from its centre. The cosine of that
    direction to any other has density (1 - x^2)^((d - 4) / 2), d - 1 being its dimensions; over it
    the integral is a Gauss-Gegenbauer sum.

    Args:
        world: the hidden truth.
        liked: (sessions, d) float32 tastes.
        session: (N,) rows of `liked`.
        category: (N,) of the item.
        rest: (N,) float32 logits of the click without their style term.

    Returns:
        (N,) float32 probabilities.
    """
    config = world.config
    angle = np.deg2rad(config.within_style_deg if KINDS[config.kind].varied else 0.0)
    along = liked @ world.centres.T.astype(np.float32)  # (sessions, styles): along each centre
    aside = np.sqrt(np.maximum((liked**2).sum(axis=1)[:, None] - along**2, 0))  # and across it
    along *= config.style_strength * np.cos(angle)
    aside *= config.style_strength * np.sin(angle)
    share = world.style_share.astype(np.float32)
    probability = np.empty(len(session), np.float32)
    for start in range(0, len(session), CHUNK):
        rows = slice(start, start + CHUNK)
        chosen = session[rows]
        logit = rest[rows, None] + along[chosen]  # (n, styles)
        mean = _mean_over_directions(logit, aside[chosen], angle)
        probability[rows] = np.einsum("ns,ns->n", share[category[rows]], mean)
    return probability


def _mean_over_directions(logit: np.ndarray, aside: np.ndarray, angle: float) -> np.ndarray:
    """Mean (n, styles) of the probability over what the direction across adds to the logit."""
    mean = np.zeros_like(logit)
    for node, weight in zip(*_directions(angle), strict=True):
        mean += np.float32(weight) / (1 + np.exp(-logit - np.float32(node) * aside))
    return mean


def _directions(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, the weights summing to one; a single node where nothing varies."""
    from scipy.special import roots_gegenbauer

    if angle == 0:
        return np.zeros(1), np.ones(1)
    nodes, weights = roots_gegenbauer(NODES, (TRAITS - 3) / 2)  # weight (1 - x^2)^(alpha - 1/2)
    return nodes, weights / weights.sum()
