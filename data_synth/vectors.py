"""Embedding versions of known quality: oracle over noisy over random."""

from __future__ import annotations

import numpy as np

from ctrbench.seeding import stream
from data_synth.world import World


def with_image(world: World) -> np.ndarray:
    """The rows of Items (P,) that have an image, ascending; the others were drawn blindly."""
    count = world.config.items
    missing = round(count * world.config.without_image)
    return np.sort(stream(world.config.seed, "without_image").permutation(count)[missing:])


def oracle(world: World) -> np.ndarray:
    """The style itself (I, D), seen through an orthogonal map that keeps every cosine."""
    config = world.config
    normal = stream(config.seed, "map").normal(size=(config.vector_width, config.style_width))
    return world.items.style @ np.linalg.qr(normal).Q.T


def noisy(world: World) -> np.ndarray:
    """The oracle (I, D) under Gaussian noise of 1 / `noise_ratio` times its energy."""
    config = world.config
    scale = 1 / np.sqrt(config.noise_ratio * config.vector_width)
    return oracle(world) + scale * _normal(world, "noisy")


def random(world: World) -> np.ndarray:
    """Gaussian vectors (I, D) of about unit length that know nothing."""
    return _normal(world, "random") / np.sqrt(world.config.vector_width)


VERSIONS = {"oracle": oracle, "noisy": noisy, "random": random}


def _normal(world: World, name: str) -> np.ndarray:
    shape = (world.config.items, world.config.vector_width)
    return stream(world.config.seed, "vectors", name).normal(size=shape)
