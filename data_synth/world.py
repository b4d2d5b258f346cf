"""The hidden truth: items, users, and what makes one like the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.errors import ConfigError, raise_all, unknown_name
from ctrbench.seeding import stream

FEWEST_IMPRESSIONS = 100  # so that every period has some, and clicks and non-clicks occur


@dataclass(frozen=True)
class Kind:
    """What sets one kind of world apart from another."""

    strength: float  # default weight of style in the click's logit
    style_matters: bool  # to clicks and categories; else it is independent of everything


KINDS = {
    "taste": Kind(strength=0.35, style_matters=True),
    "null": Kind(strength=0.0, style_matters=False),
}


@dataclass(frozen=True)
class WorldConfig:
    """A world's kind, sizes and laws; README.md writes the equations out."""

    kind: str = "taste"
    users: int = 2_000
    items: int = 1_000
    impressions: int = 120_000
    strength: float | None = None  # weight of style in the click's logit; None: the kind's own
    seed: int = 0
    categories: int = 12
    styles: int = 12
    style_width: int = 8  # d, dimensions of the latent space in which styles differ
    within_style: float = 0.5  # length of an item's own departure from its style's centre
    popularity_exponent: float = 0.7  # the item of rank r is shown in proportion to r ** -exponent
    born_before: float = 0.6  # share of items there from the start; the others arrive evenly
    activity_sd: float = 0.8  # of the logarithm of a user's share of impressions
    exposure_by_category: float = 0.5  # weight of category preference in what is shown
    leniency_sd: float = 0.5  # the next three: standard deviations of terms of the click's logit
    quality_sd: float = 0.5
    category_sd: float = 0.5
    ctr: float = 0.2  # mean click probability
    duration_s: int = 28 * 24 * 3600
    without_image: float = 0.03  # share of items, drawn blindly
    vector_width: int = 48  # D, of every embedding version; at least d
    noise_ratio: float = 0.5  # signal-to-noise ratio of version `noisy`, in energy

    @property
    def style_strength(self) -> float:
        """The weight of style in force."""
        return KINDS[self.kind].strength if self.strength is None else self.strength


@dataclass(frozen=True)
class Items:
    """I items; row j is the item with raw id j + 1."""

    category: np.ndarray  # (I,) int64, 0 .. categories - 1
    style_id: np.ndarray  # (I,) int64, 0 .. styles - 1
    style: np.ndarray  # (I, d) unit vectors: what an image shows
    popularity: np.ndarray  # (I,) > 0, sums to one
    quality: np.ndarray  # (I,) standard normal
    birth: np.ndarray  # (I,) seconds since the start; never shown before


@dataclass(frozen=True)
class Users:
    """U users; row u is the user with raw id u + 1."""

    taste: np.ndarray  # (U, d): <taste, style> has mean square 1 over all pairs
    category_taste: np.ndarray  # (U, categories) standard normal
    activity: np.ndarray  # (U,) share of the impressions, sums to one
    leniency: np.ndarray  # (U,) standard normal


@dataclass(frozen=True)
class World:
    """Everything nobody knows about a real log."""

    config: WorldConfig
    items: Items
    users: Users


def make_world(config: WorldConfig) -> World:
    """Draw the hidden truth; the same config gives the same world.

    Raises:
        ConfigError: a size, the strength or the kind will not do; all problems at once.
    """
    check(config)
    centres = _unit(stream(config.seed, "style_centres").normal(size=_style_shape(config)))
    items = _items(config, centres)
    return World(config, items, _users(config, centres, items.style))


def check(config: WorldConfig) -> None:
    """Refuse an impossible world.

    Raises:
        ConfigError: a size, the strength or the kind will not do; all problems at once.
    """
    problems = []
    if config.kind not in KINDS:
        problems.append(unknown_name("world", config.kind, KINDS))
    elif not KINDS[config.kind].style_matters and config.strength:
        problems.append(
            f"strength is {config.strength:g}; in world {config.kind} it can only be 0."
        )
    if config.strength is not None and not 0 <= config.strength < np.inf:
        problems.append(f"strength is {config.strength:g}; use a number of 0 or more.")
    if config.users < 1:
        problems.append(f"users is {config.users}; use 1 or more.")
    if config.items < config.categories:
        problems.append(
            f"items is {config.items}; use {config.categories} or more, one for each category."
        )
    if config.impressions < FEWEST_IMPRESSIONS:
        problems.append(f"impressions is {config.impressions}; use {FEWEST_IMPRESSIONS} or more.")
    raise_all(problems, ConfigError, "This world cannot be made; nothing was written:")


def _style_shape(config: WorldConfig) -> tuple[int, int]:
    return config.styles, config.style_width


def _items(config: WorldConfig, centres: np.ndarray) -> Items:
    """Draw the items around the styles' centres (styles, d)."""
    count, seed = config.items, config.seed
    category = stream(seed, "category").permutation(np.arange(count) % config.categories)
    style_id = _style_ids(config, category)
    own = _unit(stream(seed, "own_style").normal(size=(count, config.style_width)))
    rank = stream(seed, "popularity").permutation(count) + 1
    weight = rank**-config.popularity_exponent
    birth = np.zeros(count, dtype=np.int64)
    newcomers = stream(seed, "newcomers").permutation(count)[
        int(np.ceil(count * config.born_before)) :
    ]
    birth[newcomers] = stream(seed, "birth").integers(0, config.duration_s, size=len(newcomers))
    return Items(
        category=category,
        style_id=style_id,
        style=_unit(centres[style_id] + config.within_style * own),  # (I, d)
        popularity=weight / weight.sum(),
        quality=stream(seed, "quality").normal(size=count),
        birth=birth,
    )


def _style_ids(config: WorldConfig, category: np.ndarray) -> np.ndarray:
    """Each item's style (I,), drawn with its category's weights."""
    shape = (config.categories, config.styles)
    weights = np.full(shape, 1 / config.styles)
    if KINDS[config.kind].style_matters:
        weights = stream(config.seed, "leaning").dirichlet(
            np.ones(config.styles), config.categories
        )
    draw = stream(config.seed, "style").random(len(category))
    return (weights.cumsum(axis=1)[category, :-1] < draw[:, None]).sum(axis=1)


def _users(config: WorldConfig, centres: np.ndarray, style: np.ndarray) -> Users:
    """Draw the users; each likes a few of the styles with centres (styles, d)."""
    count, seed = config.users, config.seed
    liking = stream(seed, "taste").dirichlet(np.full(config.styles, 0.2), count)  # (U, styles)
    taste = (liking - 1 / config.styles) @ centres  # (U, d)
    variance = np.sum((taste.T @ taste) * (style.T @ style)) / (count * len(style))
    activity = stream(seed, "activity").lognormal(sigma=config.activity_sd, size=count)
    return Users(
        taste=taste / np.sqrt(variance),
        category_taste=stream(seed, "category_taste").normal(size=(count, config.categories)),
        activity=activity / activity.sum(),
        leniency=stream(seed, "leniency").normal(size=count),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
