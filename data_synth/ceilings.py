"""The click probability with style integrated out: the bound of a model without pictures."""

from __future__ import annotations

import numpy as np

from data_synth.world import KINDS, TRAITS, World

NODES = 5  # quadrature nodes over the direction from a style's centre to an item's style
CHUNK = 1 << 14  # impressions per block; a block fits into the processor's cache


def without_style(
    world: World, taste: np.ndarray, row: np.ndarray, category: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """Return the mean click probability over the styles that an item of the category can have.

    The mean is conditional on the user with all tastes, on the item's category, quality, price and
    popularity, and on time and position. It integrates over the distribution of styles within the
    category: the style, and the direction from its centre, which is uniform on a sphere. The cosine
    between that direction and any other has density (1 - x^2)^((d - 4) / 2) in d - 1 dimensions, so
    Gauss-Gegenbauer quadrature applies.

    Args:
        world: The hidden truth.
        taste: (n, d) float32, the tastes for the categories of the items, see `World.tastes_of`.
        row: (N,) int, rows of `taste`.
        category: (N,) int, the category of the item.
        rest: (N,) float32, the logit without its style term.

    Returns:
        (N,) float32 probabilities in [0, 1].
    """
    config = world.config
    angle = np.deg2rad(config.within_style_deg if KINDS[config.kind].varied else 0.0)
    centres = world.centres.T.astype(np.float32)  # (d, styles)
    parallel = taste @ centres  # (n, styles), component along each centre
    squared_length = (taste**2).sum(axis=1)[:, None]  # (n, 1)
    orthogonal = np.sqrt(np.maximum(squared_length - parallel**2, 0))  # (n, styles)
    parallel *= config.style_strength * np.cos(angle)
    orthogonal *= config.style_strength * np.sin(angle)
    share = world.style_share.astype(np.float32)
    probability = np.empty(len(row), np.float32)
    for start in range(0, len(row), CHUNK):
        rows = slice(start, start + CHUNK)
        chosen = row[rows]
        logit = rest[rows, None] + parallel[chosen]  # (n, styles)
        mean = _mean_over_directions(logit, orthogonal[chosen], angle)
        probability[rows] = np.einsum("ns,ns->n", share[category[rows]], mean)
    return probability


def _mean_over_directions(logit: np.ndarray, orthogonal: np.ndarray, angle: float) -> np.ndarray:
    """Return (n, styles) float, the mean probability over the orthogonal direction."""
    mean = np.zeros_like(logit)
    for node, weight in zip(*_directions(angle), strict=True):
        mean += np.float32(weight) / (1 + np.exp(-logit - np.float32(node) * orthogonal))
    return mean


def _directions(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights, which sum to 1; a single node if the angle is 0."""
    from scipy.special import roots_gegenbauer

    if angle == 0:
        return np.zeros(1), np.ones(1)
    nodes, weights = roots_gegenbauer(NODES, (TRAITS - 3) / 2)  # weight (1 - x^2)^(alpha - 1/2)
    return nodes, weights / weights.sum()
