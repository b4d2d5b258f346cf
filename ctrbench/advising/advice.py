"""The advice about a log and a version: predicted order, codebook sizes, a matrix to confirm it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.advising.prediction import (
    LEVEL,
    SIZED,
    USEFUL,
    Fit,
    Reliability,
    SizeReliability,
    best_size,
    has_one_codebook,
    packaged_fit,
)
from ctrbench.advising.traits import Traits, measure
from ctrbench.benchmark_file import starting_text
from ctrbench.display import Displayed
from ctrbench.injection import load_mode
from ctrbench.settings import ModelSettings
from ctrbench.workspace import Workspace

SIZE = "codebook_size"
SEEDS = 5
TRAINING = {"batch_size": 512, "learning_rate": 0.004}  # of the worlds of the fit
NAMES = {  # of traits that the prediction compares with those of the worlds, and their formats
    "impressions": ("training impressions", ",.0f"),
    "per_item": ("training impressions per item", ",.1f"),
    "cold": ("share of new items in valid", ".1%"),
    "clicks": ("clicks per history", ".1f"),
    "ctr": ("CTR", ".1%"),
    "baseline": ("GAUC of the regression without images", ".4f"),
    "similarity_pp": ("gain with cosines, pp", "+.2f"),
    "bilinear_pp": ("gain with a bilinear score, pp", "+.2f"),
}
MOST_LEADERS = 3  # modes of the matrix that may gain most


@dataclass(frozen=True)
class ModeForecast:
    """The predicted gain of a mode in GAUC over the same mode with shuffled vectors."""

    mode: str
    gain_pp: float
    low_pp: float  # of the interval
    high_pp: float
    behind_pp: float  # the predicted difference from the first mode; 0 for the first
    behind_low_pp: float  # of its interval, which has no ends if no order is predicted
    behind_high_pp: float

    @property
    def is_behind(self) -> bool:
        """Whether the interval of the difference from the first mode lies below zero."""
        return self.behind_high_pp < 0


@dataclass(frozen=True)
class SizeForecast:
    """The predicted gain of `cluster_id` with one codebook size."""

    size: int
    gain_pp: float
    useful: bool


@dataclass(frozen=True)
class Outside:
    """A trait beyond its range over the worlds of the fit."""

    trait: str
    value: float
    low: float
    high: float
    form: str  # the format of the three


@dataclass(frozen=True)
class Advice(Displayed, view="advice.show"):
    """What is predicted for a log and a version, from a fit on worlds with measured gains."""

    dataset: str
    version: str
    level: float  # of all intervals
    traits: Traits
    modes: tuple[ModeForecast, ...]  # by predicted gain, the largest first
    sizes: tuple[SizeForecast, ...]
    outside: tuple[Outside, ...]  # traits beyond those of the worlds of the fit
    is_larger: bool  # the log is larger than all worlds of the fit, so that no order is predicted
    reliability: tuple[Reliability, ...]
    size_reliability: tuple[SizeReliability, ...]
    matrix: str  # a benchmark file that tests the prediction

    @property
    def leaders(self) -> tuple[ModeForecast, ...]:
        """The modes that are not predicted to be behind the first, the first included."""
        return tuple(one for one in self.modes if not one.is_behind)

    @property
    def useful_sizes(self) -> tuple[int, ...]:
        """The codebook sizes with a useful predicted gain."""
        return tuple(one.size for one in self.sizes if one.useful)


def advise(workspace: Workspace, dataset: str, version: str) -> Advice:
    """Return the advice about a version.

    Args:
        workspace: The workspace that holds the data set and the version.
        dataset: The name of an imported data set.
        version: The name of one of its versions of vectors, or of a vector field: `v7:text`.

    Raises:
        UnknownNameError: The data set, the version or the field does not exist.
        ConfigError: The version holds codes, or it has several vector fields and none is named.
        DataError: The log or the version is too small to measure anything on it.
        StoreError: The data set or the version is damaged.
    """
    log = impressions.open_impressions(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version, log.manifest.items_hash)
    width = table.vectors.shape[1]
    return forecast(dataset, version, width, measure(log, table), packaged_fit())


def forecast(dataset: str, version: str, width: int, traits: Traits, fit: Fit) -> Advice:
    """Return the advice that follows from traits.

    Args:
        dataset: The name of the data set.
        version: The name of the version.
        width: The width of its vectors.
        traits: Their traits.
        fit: The fit.
    """
    known, outside = _within(traits, fit)
    sizes = _sizes(known, fit)
    best = best_size(known) if sizes else 1
    gains = fit.gains(known, best)
    half = fit.half_widths(gains, fit.sampling(known, best))
    larger = traits.impressions > known.impressions
    if larger:
        half[~np.eye(len(half), dtype=bool)] = np.inf
    order = [
        place
        for place in np.argsort(-gains, kind="stable").tolist()
        if sizes or not fit.uses_codes(fit.modes[place])
    ]
    first = order[0]
    modes = tuple(
        ModeForecast(
            mode=fit.modes[place],
            gain_pp=float(gains[place]),
            low_pp=float(gains[place] - half[place, place]),
            high_pp=float(gains[place] + half[place, place]),
            behind_pp=float(gains[place] - gains[first]),
            behind_low_pp=float(gains[place] - gains[first] - _of_pair(half, place, first)),
            behind_high_pp=float(gains[place] - gains[first] + _of_pair(half, place, first)),
        )
        for place in order
    )
    made = Advice(
        dataset,
        version,
        LEVEL,
        traits,
        modes,
        sizes,
        outside,
        larger,
        fit.reliability,
        fit.sizes,
        matrix="",
    )
    return replace(made, matrix=_matrix(made, width))


def _of_pair(half: np.ndarray, one: int, two: int) -> float:
    return 0.0 if one == two else float(half[one, two])


def _within(traits: Traits, fit: Fit) -> tuple[Traits, tuple[Outside, ...]]:
    """Return the traits with impressions within the range of the fit, and what lies outside."""
    outside = []
    for name, (low, high) in fit.ranges.items():
        value = float(getattr(traits, name))
        nothing = name.endswith("_pp") and value < low  # vectors without information
        if not low <= value <= high and not nothing:
            label, form = NAMES[name]
            outside.append(Outside(label, value, low, high, form))
    limits = fit.ranges["impressions"]
    size = int(np.clip(traits.impressions, *limits))
    return replace(traits, impressions=size), tuple(outside)


def _sizes(traits: Traits, fit: Fit) -> tuple[SizeForecast, ...]:
    """Return the forecast of each size; none is useful if the largest gain may be zero."""
    if not traits.codes_pp:
        return ()
    of_size, best = fit.size_gains(traits), best_size(traits)
    half = fit.half_widths(fit.gains(traits, best), fit.sampling(traits, best))
    place, most = fit.modes.index(SIZED), of_size[best]
    return tuple(
        SizeForecast(size, gain, bool(most > half[place, place] and gain >= USEFUL * most))
        for size, gain in of_size.items()
    )


def _matrix(advice: Advice, width: int) -> str:
    """Return a benchmark file: the leaders, and the first mode that is predicted to be behind."""
    grid = _grid(advice)
    settings = {one.mode: _settings(one.mode, grid) for one in advice.modes}
    possible = [one for one in advice.modes if _works(one.mode, settings, advice.traits, width)]
    ahead = [one.mode for one in possible if not one.is_behind][:MOST_LEADERS]
    behind = [one.mode for one in possible if one.is_behind][:1]
    chosen = {mode: settings[mode] for mode in (*ahead, *behind)}
    remark = "It tests what `ctrbench advise` predicts; run it with `ctrbench run FILE`."
    return starting_text(advice.dataset, [advice.version], chosen, SEEDS, remark, TRAINING)


def _settings(mode: str, grid: list[int]) -> dict[str, Any]:
    """Return the codebook sizes of a mode: the grid, or for a combination the best size."""
    if not has_one_codebook(mode):
        return {}
    return {SIZE: grid} if mode == SIZED else {f"{SIZED}.{SIZE}": grid[0]}


def _works(mode: str, settings: dict[str, dict[str, Any]], traits: Traits, width: int) -> bool:
    """Return whether a mode works with the default model and the vectors of the version."""
    first = {
        name: value[0] if isinstance(value, list) else value
        for name, value in settings[mode].items()
    }
    return not load_mode(mode, first).problems(traits.items // 2, width, ModelSettings())


def _grid(advice: Advice) -> list[int]:
    """Return the best codebook size, and the ends of the useful range."""
    if not advice.sizes:
        return []
    best = best_size(advice.traits)
    useful = advice.useful_sizes or (best,)
    return list(dict.fromkeys((best, useful[0], useful[-1])))
