"""The hidden truth: items, users, and the preferences of users."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from ctrbench.errors import ConfigError, raise_all, unknown_name
from ctrbench.seeding import stream

FEWEST_IMPRESSIONS = 100  # every period then has impressions of both classes
LARGEST = 2**31 - 2  # ids are 32-bit
TRAITS = 8  # d, dimensions of a style; `pictures.py` makes each visible
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Kind:
    """The properties that distinguish kinds of worlds; `WorldConfig` has all others."""

    what: str  # description
    strength: float = 0.35  # default weight of style in the click logit
    styles: Literal["leaning", "any", "own"] = "leaning"  # of a category: some preferred, any, one
    varied: bool = True  # items of one style differ
    old_items: float = 0.6  # share of items present at the start; others arrive uniformly
    shelf_life: float = np.inf  # share of the duration for which an item is shown
    source_correlation: float = 0.0  # of an item's source with its quality and popularity
    alignment: float = 1.0  # default share of a taste that is similarity, see `World.rotations`


KINDS = {
    "taste": Kind("vision matters"),
    "complement": Kind(
        "users like what goes together across categories; --alignment 1: what looks alike",
        alignment=0.0,
    ),
    "null": Kind(
        "style is independent of clicks, categories and items", strength=0.0, styles="any"
    ),
    "redundant": Kind(
        "vision matters, but category and item id contain the same information",
        styles="own",
        varied=False,
        old_items=1.0,
    ),
    "cold": Kind("most test impressions show new items", old_items=0.0, shelf_life=0.18),
    "spurious": Kind(
        "pictures show their source, which correlates with quality and popularity, not with taste",
        strength=0.0,
        styles="any",
        source_correlation=0.7,
    ),
}


@dataclass(frozen=True)
class WorldConfig:
    """Kind, sizes and parameters of a world; README.md contains the equations."""

    kind: str = "taste"
    users: int = 2_000
    items: int = 1_000
    impressions: int = 120_000
    strength: float | None = None  # weight of style in the click logit; None: default of the kind
    seed: int = 0
    categories: int = 12
    styles: int = 12
    sources: int = 4  # sources of pictures, each with its own background
    within_style_deg: float = 27.0  # angle between an item's style and the style's centre
    popularity_exponent: float = 0.7  # popularity is proportional to rank ** -exponent
    activity_sd: float = 0.8  # standard deviation of log activity
    session_length: float = 6.0  # mean impressions per session
    exposure_by_category: float = 0.5  # weight of category taste in exposure
    drift_deg: float = 30.0  # rotation of a taste over the whole duration
    leniency_sd: float = 0.5  # these four: standard deviations of terms of the click logit
    quality_sd: float = 0.5
    category_sd: float = 0.5
    price_sd: float = 0.3
    position_weight: float = 0.3  # decrease of the logit per unit of log position
    ctr: float = 0.2  # mean click probability
    days: int = 28
    without_image: float = 0.03  # share of items, chosen at random
    # world `complement` only; None: default of the kind, one role per category
    alignment: float | None = None  # 0 to 1
    roles: int | None = None  # groups of categories, each with its own complementarity

    @property
    def style_strength(self) -> float:
        """Return the effective weight of style."""
        return KINDS[self.kind].strength if self.strength is None else self.strength

    @property
    def style_alignment(self) -> float:
        """Return the effective alignment of taste and looks."""
        return KINDS[self.kind].alignment if self.alignment is None else self.alignment

    @property
    def duration_s(self) -> int:
        """Return the duration of the world in seconds."""
        return self.days * DAY_S


@dataclass(frozen=True)
class Items:
    """I items; row j is the item with raw id j + 1."""

    category: np.ndarray  # (I,) int16, 0 .. categories - 1
    style_id: np.ndarray  # (I,) int16, 0 .. styles - 1
    style: np.ndarray  # (I, d) float32 unit vectors, visible in pictures
    source: np.ndarray  # (I,) int16, 0 .. sources - 1
    popularity: np.ndarray  # (I,) > 0, sums to one
    quality: np.ndarray  # (I,) float32, standard normal
    price: np.ndarray  # (I,) float32, standard normal, the standardised log price
    birth: np.ndarray  # (I,) int64 seconds since the start; not shown earlier

    def take(self, rows: np.ndarray) -> Items:
        """Return the items of the given rows."""
        return Items(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Users:
    """U users; row u is the user with raw id u + 1."""

    taste: np.ndarray  # (U, d) float32, at the start
    drift: np.ndarray  # (U, d) float32, the direction in which the taste rotates
    category_taste: np.ndarray  # (U, categories) float32, standard normal
    activity: np.ndarray  # (U,) share of the sessions, sums to one
    leniency: np.ndarray  # (U,) float32, standard normal
    price_sense: np.ndarray  # (U,) float32, standard normal


@dataclass(frozen=True)
class World:
    """The hidden truth, which is unknown for a real log."""

    config: WorldConfig
    centres: np.ndarray  # (styles, d) float32 unit vectors
    style_share: np.ndarray  # (categories, styles) probability of a style in a category
    items: Items
    users: Users
    rotations: np.ndarray | None  # (categories, d, d) float32, see `_rotations`; None: identities

    def tastes_of(
        self, taste: np.ndarray, session: np.ndarray, category: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the tastes as they apply to the categories of impressions, and the row of each.

        Args:
            taste: (sessions, d) float32.
            session: (N,) int, rows of `taste`.
            category: (N,) int, the category of the item.

        Returns:
            (n, d) float32 and (N,) int, rows of it; the arguments if nothing is rotated.
        """
        if self.rotations is None:
            return taste, session
        found = np.empty((len(session), taste.shape[1]), np.float32)
        for number, rotation in enumerate(self.rotations):
            rows = np.flatnonzero(category == number)
            found[rows] = taste[session[rows]] @ rotation
        return found, np.arange(len(session))


def make_world(config: WorldConfig) -> World:
    """Draw the hidden truth; the same config gives the same world.

    Raises:
        ConfigError: A size, the strength or the kind is invalid; lists all problems.
    """
    check(config)
    centres = _unit(stream(config.seed, "style_centres").normal(size=(config.styles, TRAITS)))
    share = _style_share(config)
    items, rotations = _items(config, centres, share), _rotations(config)
    appeal = items.style  # (I, d), whose product with a taste is the style term
    if rotations is not None:
        appeal = np.einsum("ide,ie->id", rotations[items.category], appeal)
    return World(config, centres, share, items, _users(config, centres, appeal), rotations)


def check(config: WorldConfig) -> None:
    """Raise an error for an invalid world.

    Raises:
        ConfigError: A size, the strength or the kind is invalid; lists all problems.
    """
    problems = []
    if config.kind not in KINDS:
        problems.append(unknown_name("world", config.kind, KINDS))
    elif KINDS[config.kind].strength == 0 and config.strength:
        problems.append(
            f"strength is {config.strength:g}; in world {config.kind} it can only be 0."
        )
    for name in ("alignment", "roles"):
        if getattr(config, name) is not None and config.kind != "complement":
            problems.append(f"{name} applies to world complement only, not to {config.kind}.")
    if config.alignment is not None and not 0 <= config.alignment <= 1:
        problems.append(f"alignment is {config.alignment:g}; use a number from 0 to 1.")
    if config.roles is not None and not 1 <= config.roles <= config.categories:
        problems.append(f"roles is {config.roles}; use 1 to {config.categories}, the categories.")
    if config.strength is not None and not 0 <= config.strength < np.inf:
        problems.append(f"strength is {config.strength:g}; use a number of 0 or more.")
    if not 1 <= config.users <= LARGEST:
        problems.append(f"users is {config.users}; use 1 to {LARGEST:,}.")
    if not config.categories <= config.items <= LARGEST:
        problems.append(
            f"items is {config.items}; use {config.categories} (one per category) to {LARGEST:,}."
        )
    if config.impressions < FEWEST_IMPRESSIONS:
        problems.append(f"impressions is {config.impressions}; use {FEWEST_IMPRESSIONS} or more.")
    if config.seed < 0:
        problems.append(f"seed is {config.seed}; use 0 or more.")
    raise_all(problems, ConfigError, "This world cannot be made; nothing was written:")


def _style_share(config: WorldConfig) -> np.ndarray:
    """Return (categories, styles), the probability of each style in each category."""
    shape = (config.categories, config.styles)
    styles = KINDS[config.kind].styles
    if styles == "any":
        return np.full(shape, 1 / config.styles)
    if styles == "own":
        return np.eye(config.styles)[np.arange(config.categories) % config.styles]
    return stream(config.seed, "leaning").dirichlet(np.ones(config.styles), config.categories)


def _rotations(config: WorldConfig) -> np.ndarray | None:
    """Return the (categories, d, d) orthogonal maps A of a world; None if all are identities.

    A style z appeals to a taste t by <t, A z>. A = a I + sqrt(1 - a^2) J has the alignment a and
    the complementarity matrix J of the category's role, orthogonal and skew-symmetric. Therefore
    J z is orthogonal to z, and the cosine of z and A z is a.
    """
    alignment = config.style_alignment
    if alignment == 1:
        return None
    rng, roles = stream(config.seed, "complement"), config.roles or config.categories
    plane = np.kron(np.eye(TRAITS // 2), np.array([[0.0, -1.0], [1.0, 0.0]]))
    frames = np.linalg.qr(rng.normal(size=(roles, TRAITS, TRAITS))).Q
    skew = frames @ plane @ frames.transpose(0, 2, 1)
    rotations = alignment * np.eye(TRAITS) + np.sqrt(1 - alignment**2) * skew
    return rotations[np.arange(config.categories) % roles].astype(np.float32)


def _items(config: WorldConfig, centres: np.ndarray, share: np.ndarray) -> Items:
    """Draw the items around the centres (styles, d)."""
    count, seed, kind = config.items, config.seed, KINDS[config.kind]
    category = stream(seed, "category").permutation(np.arange(count) % config.categories)
    draw = stream(seed, "style").random(count)
    style_id = (share.cumsum(axis=1)[category, :-1] <= draw[:, None]).sum(axis=1)
    angle = np.deg2rad(config.within_style_deg if kind.varied else 0.0)
    source = stream(seed, "source").integers(0, config.sources, size=count)
    source_score = _standardised(source)

    def with_source(name: str) -> np.ndarray:
        """Return (I,) float, standard normal over items and correlated with the source."""
        independent = stream(seed, name).normal(size=count)
        correlation = kind.source_correlation
        return correlation * source_score + np.sqrt(1 - correlation**2) * independent

    rank = np.empty(count)
    rank[np.argsort(-with_source("popularity"), kind="stable")] = np.arange(1, count + 1)
    weight = rank**-config.popularity_exponent
    return Items(
        category=category.astype(np.int16),
        style_id=style_id.astype(np.int16),
        style=_at_angle(centres[style_id], angle, stream(seed, "own_style")).astype(np.float32),
        source=source.astype(np.int16),
        popularity=weight / weight.sum(),
        quality=with_source("quality").astype(np.float32),
        price=stream(seed, "price").normal(size=count).astype(np.float32),
        birth=_births(config),
    )


def _at_angle(centre: np.ndarray, angle: float, rng: np.random.Generator) -> np.ndarray:
    """Return (I, d) unit vectors at an angle to the centres, in uniformly random directions.

    The cosine to any direction then has a known distribution, over which `ceilings.py` integrates.
    """
    direction = rng.normal(size=centre.shape)
    direction = _unit(direction - (direction * centre).sum(axis=1, keepdims=True) * centre)
    return np.cos(angle) * centre + np.sin(angle) * direction


def _births(config: WorldConfig) -> np.ndarray:
    """Return (I,) int64 seconds since the start, negative for some items with a shelf life."""
    kind, count = KINDS[config.kind], config.items
    birth = np.zeros(count, dtype=np.int64)
    late = stream(config.seed, "newcomers").permutation(count)[
        int(np.ceil(count * kind.old_items)) :
    ]
    life = kind.shelf_life * config.duration_s if np.isfinite(kind.shelf_life) else 0
    evenly = (np.arange(len(late)) + 0.5) / max(len(late), 1)
    birth[late] = evenly * (config.duration_s + life) - life
    return birth


def _users(config: WorldConfig, centres: np.ndarray, appeal: np.ndarray) -> Users:
    """Draw the users, who each prefer a few of the styles with centres (styles, d)."""
    count, seed = config.users, config.seed

    def normal(name: str, *shape: int) -> np.ndarray:
        return stream(seed, name).normal(size=(count, *shape)).astype(np.float32)

    activity = stream(seed, "activity").lognormal(sigma=config.activity_sd, size=count)
    return Users(
        taste=_tastes(config, centres, appeal, "taste"),
        drift=_tastes(config, centres, appeal, "drift"),
        category_taste=normal("category_taste", config.categories),
        activity=activity / activity.sum(),
        leniency=normal("leniency"),
        price_sense=normal("price_sense"),
    )


def _tastes(config: WorldConfig, centres: np.ndarray, appeal: np.ndarray, name: str) -> np.ndarray:
    """Return (U, d) tastes; <taste, appeal> has mean square 1 over all pairs of user and item."""
    weights = np.full(config.styles, 0.2)  # mostly one or two preferred styles
    liking = stream(config.seed, name).dirichlet(weights, config.users)  # (U, styles)
    taste = (liking - 1 / config.styles) @ centres  # (U, d)
    gram = appeal.astype(np.float64).T @ appeal
    variance = np.sum((taste.T @ taste) * gram) / (config.users * len(appeal))
    return (taste / np.sqrt(variance)).astype(np.float32)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and variance 1; all 0 if they are constant."""
    deviation = values - values.mean()
    return deviation / (deviation.std() or 1.0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
