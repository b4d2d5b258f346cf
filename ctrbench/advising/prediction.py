"""Predicted gains of modes, from traits and a fit on worlds whose gains were measured.

`python -m benchmarks.regimes.advice` makes the fit and writes it to `fit.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ctrbench.advising.traits import Traits

FILE = Path(__file__).with_name("fit.json")
LEVEL = 0.8  # of all intervals
REFERENCE_SIZE = 100  # codes; the gain of codes for modes whose codes are no single codebook
REFERENCE_IMPRESSIONS = 300_000
BEND_PP = 3.0  # see `factors`; of 0.5 to 10 the best for sizes that were left out
STEP_PP = 1e-3  # of numerical slopes
CODE_FACTORS = [2, 3, 6, 7]  # places in `factors`
SIZED = "cluster_id"  # the mode whose codebook size is predicted
USEFUL = 0.8  # share of the largest gain that a useful codebook size reaches
SMALL_SIZES = 10, 20  # with which predicted sizes are compared
LARGER = "10 million impressions, more than in the fit"  # names a row of the reliability


@dataclass(frozen=True)
class Reliability:
    """How well the fit predicts worlds that were left out of it; shares are fractions."""

    what: str  # which worlds are predicted from which others
    worlds: int
    replicates: int  # over all worlds
    error_pp: float  # root mean square error of the mean gain of a world
    mean_error_pp: float  # the same, if the mean gain over the worlds of the fit is predicted
    rank_correlation: float  # Spearman, of predicted and measured order, mean over worlds
    fixed_order: float  # the same for one fixed order, that of the mean gains of the worlds fitted
    winners: float  # share of worlds whose predicted winner measures at most 0.3 pp below the best
    fixed_winners: float  # the same for the first mode of the fixed order
    in_leaders: float  # share of worlds whose best mode is not predicted to be behind the first
    leaders: float  # mean number of modes that are not
    pairs: int  # pairs of modes whose predicted interval excludes zero
    right: float  # share of them that measure in the predicted order
    fixed_right: float  # share of them that measure in the fixed order
    all_pairs: int
    covered: float  # share of measured mean gains inside the intervals


@dataclass(frozen=True)
class SizeReliability:
    """How well useful codebook sizes are named in worlds that no fit uses; shares are fractions.

    A size is useful if its measured gain is at least `USEFUL` of that of the best size. The best
    must be at least 0.3 pp.
    """

    what: str  # which worlds
    worlds: int
    replicates: int  # over all worlds, each with a prediction
    called: int  # sizes called useful, over replicates
    right: float  # share of them that are useful
    fixed_right: float  # the same if `SMALL_SIZES` are called useful in all worlds
    found: float  # share of the useful sizes that are called useful
    fixed_found: float  # the same for `SMALL_SIZES`
    lost_pp: float  # mean measured gain below the best size, with the best predicted size
    fixed_lost_pp: float  # the same with the first of `SMALL_SIZES`
    default_lost_pp: float  # the same with the default of the mode, or the nearest size


@dataclass(frozen=True)
class Fit:
    """A linear model per mode, and its errors for sizes and constructions that were left out."""

    modes: tuple[str, ...]
    weights: np.ndarray  # (M, 8); see `factors`
    floor_pp: float  # errors are proportional to hypot(floor, largest predicted gain)
    covariance: np.ndarray  # (M, M), of errors divided by that scale
    quantile: float  # of an absolute error in standard deviations, at LEVEL
    ranges: Mapping[str, tuple[float, float]]  # smallest and largest value of traits
    reliability: tuple[Reliability, ...]  # the last is of worlds that no fit uses
    size_power: float = 1.0  # see `size_shares`
    sizes: tuple[SizeReliability, ...] = ()  # the last is of worlds chosen before `size_power`

    def gains(self, traits: Traits, size: float) -> np.ndarray:
        """Return the predicted gain in GAUC of each mode, (M,), pp.

        Args:
            traits: The traits of the log and the version.
            size: The codebook size of `cluster_id`.
        """
        own, usual = factors(traits, size), factors(traits, REFERENCE_SIZE)
        chosen = np.stack([own if has_one_codebook(mode) else usual for mode in self.modes])
        return (self.weights * chosen).sum(axis=1)

    def size_gains(self, traits: Traits) -> dict[int, float]:
        """Return the predicted gain of `cluster_id` by codebook size, pp.

        Args:
            traits: The traits of the log and the version; those of codes are known.
        """
        best = float(self.gains(traits, best_size(traits))[self.modes.index(SIZED)])
        shares = size_shares(traits, [*traits.codes_pp], self.size_power)
        share_of = dict(zip(traits.codes_pp, shares.tolist(), strict=True))
        return {size: best * (share if best > 0 else 1.0) for size, share in share_of.items()}

    def half_widths(self, gains: np.ndarray, sampling: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the half-widths of the intervals of differences of two gains, (M, M), pp.

        The diagonal has those of the gains.

        Args:
            gains: (M,) predicted gains, pp.
            sampling: (M, M) what `sampling` returns, pp squared. Errors of the fit are those of
                means over several logs, so that a prediction for one log has sampling errors too.
        """
        scale = np.hypot(self.floor_pp, gains.max(initial=0.0))
        covariance = scale**2 * self.covariance + sampling
        own = np.diag(covariance)
        variance = own[:, None] + own - 2 * covariance
        np.fill_diagonal(variance, own)
        return self.quantile * np.sqrt(variance.clip(min=0))

    def sampling(self, traits: Traits, size: float) -> np.ndarray:
        """Return the covariance of predicted gains over users of the log, (M, M), pp squared.

        Source: The delta method, with the covariance of the gains of stand-ins.

        Args:
            traits: The traits of the log and the version.
            size: The codebook size of `cluster_id`.
        """
        if not traits.covariance:
            return np.zeros((len(self.modes), len(self.modes)))
        plain = self.gains(traits, size)
        changed = [
            replace(traits, similarity_pp=traits.similarity_pp + STEP_PP),
            replace(traits, bilinear_pp=traits.bilinear_pp + STEP_PP),
            *(
                replace(traits, codes_pp=traits.codes_pp | {codes: gain + STEP_PP})
                for codes, gain in traits.codes_pp.items()
            ),
        ]
        slopes = np.stack([(self.gains(one, size) - plain) / STEP_PP for one in changed], axis=1)
        return slopes @ np.array(traits.covariance) @ slopes.T

    def uses_codes(self, mode: str) -> bool:
        """Return whether the gain of codes is a factor of a mode."""
        return bool(self.weights[self.modes.index(mode)][CODE_FACTORS].any())


def has_one_codebook(mode: str) -> bool:
    """Return whether a mode is `cluster_id`, or a combination with it."""
    return SIZED in mode.split("+")


def best_size(traits: Traits) -> int:
    """Return the codebook size whose stand-in gains most.

    Args:
        traits: The traits of the log and the version; those of codes are known.
    """
    return max(traits.codes_pp, key=lambda size: traits.codes_pp[size])


def size_shares(traits: Traits, sizes: Sequence[float], power: float) -> np.ndarray:
    """Return the gain of codebook sizes, divided by that of the best measured size, (n,).

    It is the ratio of the gains of the stand-in to a power, which is fitted.

    Args:
        traits: The traits of the log and the version; those of codes are known.
        sizes: (n,) codebook sizes; the gain of the stand-in is interpolated in their logarithm.
        power: The power.
    """
    best = traits.codes_pp[best_size(traits)]
    return (
        (_codes_pp(traits, sizes).clip(min=0) / best) ** power if best > 0 else np.ones(len(sizes))
    )


def _codes_pp(traits: Traits, sizes: Sequence[float]) -> np.ndarray:
    return np.interp(np.log(sizes), np.log([*traits.codes_pp]), [*traits.codes_pp.values()])


def factors(traits: Traits, size: float) -> np.ndarray:
    """Return the factors of the linear models, (8,): gains of stand-ins, and these x log10 of size.

    A gain g enters as BEND_PP log(1 + g / BEND_PP), because large gains of stand-ins exceed those
    of models. There is no constant, because vectors without information about clicks gain nothing.

    Args:
        traits: The traits of the log and the version.
        size: A codebook size; the gain of codes is interpolated in its logarithm. The gain with the
            best of the measured sizes is a factor of its own.
    """
    codes = float(_codes_pp(traits, [size])[0]) if traits.codes_pp else 0.0
    best = max(traits.codes_pp.values(), default=0.0)
    gains = np.array([traits.similarity_pp, traits.bilinear_pp, codes, best])
    own = np.sign(gains) * BEND_PP * np.log1p(np.abs(gains) / BEND_PP)
    return np.concatenate([own, own * np.log10(traits.impressions / REFERENCE_IMPRESSIONS)])


@cache
def packaged_fit() -> Fit:
    """Return the fit that is part of ctrbench."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return Fit(
        modes=tuple(found["modes"]),
        weights=np.array(found["weights"]),
        floor_pp=found["floor_pp"],
        covariance=np.array(found["covariance"]),
        quantile=found["quantile"],
        ranges={name: (low, high) for name, (low, high) in found["ranges"].items()},
        reliability=tuple(Reliability(**one) for one in found["reliability"]),
        size_power=found["size_power"],
        sizes=tuple(SizeReliability(**one) for one in found["sizes"]),
    )
