"""Trains `cluster_id` with every codebook size that `ctrbench advise` considers.

`python -m benchmarks.regimes.codebooks --root DIR` does so in some worlds of the fit and in those
that no fit uses, and adds one row per size to results/tables/regimes_codebooks.csv. `reliability`
judges by them the sizes that `advise` calls useful, as README.md states; `advice.py` stores the
result in the fit.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from benchmarks.regimes import outside, study
from benchmarks.regimes.outside import OUTSIDE, OtherWorld
from benchmarks.regimes.study import (
    CONTROL,
    Point,
    add_missing,
    arguments,
    control_rows,
    points,
    trained_rows,
)
from benchmarks.regimes.table import gains_of
from benchmarks.regimes.traits import read_traits
from benchmarks.shared import TABLES, markdown_row
from ctrbench.advising.advice import SizeForecast, forecast
from ctrbench.advising.prediction import (
    SIZED,
    SMALL_SIZES,
    USEFUL,
    Fit,
    SizeReliability,
    size_shares,
)
from ctrbench.advising.traits import SIZES
from ctrbench.injection import load_mode
from ctrbench.schema import Cell

CODEBOOKS = TABLES / "regimes_codebooks.csv"
REPLICATES, OF_300K = 2, study.SIZES["300k"][1]
USUAL = "oracle"  # the vectors of the worlds of the fit
POWERS = np.arange(0.25, 6.01, 0.25)
LEAST_PP = 0.3  # gain of the best size, below which no size is useful
DEFAULT: int = load_mode(SIZED, {}).model_dump()["codebook_size"]
WIDTH = 64  # of vectors; no size depends on it
Rows = list[dict[str, str]]
Sizes = Mapping[str, Mapping[int, float]]  # world -> codebook size -> gain, pp
AnySized = TypeVar("AnySized", "SizedPoint", "SizedWorld")
Forecasts = Mapping[str, Sequence[Sequence[SizeForecast]]]  # world -> replicate -> sizes


class _Sized:
    """A point at which only `cluster_id` is trained, with several codebook sizes."""

    name: str
    versions: tuple[str, ...]

    def sizes(self, replicate: int) -> tuple[int, ...]:
        """Return the codebook sizes, which are those of the stored traits.

        Args:
            replicate: The number of the replicate.
        """
        return tuple(read_traits()[self.name, str(replicate), self.versions[0]].codes_pp)

    def modes(self, replicate: int) -> Sequence[tuple[str, dict[str, object]]]:
        """Return the modes of the benchmark file.

        Args:
            replicate: The number of the replicate.
        """
        return ((f"  {SIZED}: {{codebook_size: {[*self.sizes(replicate)]}}}\n", {}),)

    def label(self, cell: Cell) -> str:
        """Return the name of a mode with its codebook size.

        Args:
            cell: A cell of `files`.
        """
        if cell.version is None:
            return cell.mode
        size = load_mode(cell.mode, cell.mode_settings).model_dump()["codebook_size"]
        return f"{cell.mode}/{size}"


@dataclass(frozen=True)
class SizedPoint(_Sized, Point):
    """A point of the map with several codebook sizes."""


@dataclass(frozen=True)
class SizedWorld(_Sized, OtherWorld):
    """Another world with several codebook sizes."""


def fitted_points() -> list[SizedPoint]:
    """Return the points of the map from whose first replicates the curve of sizes is fitted."""
    names = {f"main-60k-{alignment}" for alignment in ("1", "0.5", "0")}
    return [_with_sizes(point, SizedPoint) for point in points() if point.name in names]


def fitted_worlds() -> list[SizedWorld]:
    """Return the other worlds from whose first replicates the curve of sizes is fitted."""
    names = {"own-roles", "cold", "tight"}
    return [_with_sizes(world, SizedWorld) for world in outside.worlds() if world.name in names]


def known_worlds() -> list[SizedWorld]:
    """Return the worlds held out of the fit that were trained before the curve of sizes was."""
    return [_with_sizes(world, SizedWorld) for world in outside.held_out()]


def held_out_worlds() -> list[SizedWorld]:
    """Return the worlds that were chosen before the curve of sizes was fitted."""
    return [
        replace(_with_sizes(world, SizedWorld), versions=(*world.versions, CONTROL))
        for world in outside.sized()
    ]


def _with_sizes(point: Point, kind: type[AnySized]) -> AnySized:
    own: dict[str, Any] = {field.name: getattr(point, field.name) for field in fields(point)}
    own["replicates"] = REPLICATES
    return kind(**own)


def main() -> None:
    """Train the points and worlds that are not stored yet."""
    given = arguments(__doc__).parse_args()
    for every, train in (
        (fitted_points(), control_rows),  # whose baselines are stored
        ([*fitted_worlds(), *known_worlds()], partial(control_rows, path=OUTSIDE)),
        (held_out_worlds(), trained_rows),
    ):
        pairs = ((point, replicate) for point in every for replicate in range(REPLICATES))
        add_missing(pairs, train, CODEBOOKS, given)


def measured(every: Sequence[Point], rows: Rows) -> dict[str, dict[int, float]]:
    """Return the mean net gain of each codebook size, pp, of the points that are complete.

    Args:
        every: The points.
        rows: The rows of this study, of the map and of `outside.py`; the latter two have baselines
            and gains of random vectors.
    """
    gauc: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for row in rows:
        gauc[row["point"], row["replicate"]][row["version"], row["mode"]] = float(row["gauc"])
    found: dict[str, dict[int, float]] = {}
    for point in every:
        net = []
        for replicate in map(str, range(point.replicates)):
            own = gauc[point.name, replicate]
            random = [
                value
                for (version, mode), value in own.items()
                if version == CONTROL and mode.split("/")[0] == SIZED
            ]
            if random:
                keys = ((point.versions[0], f"{SIZED}/{size}") for size in SIZES)
                net.append([100 * (own.get(key, math.nan) - np.mean(random)) for key in keys])
        if len(net) == point.replicates:
            mean = zip(SIZES, np.mean(net, axis=0).tolist(), strict=True)
            found[point.name] = {size: gain for size, gain in mean if not math.isnan(gain)}
    return found


def fitted_power(rows: Rows) -> float:
    """Return the power of `size_shares`, by least squares on worlds of the fit.

    The gain of the best size is free in each world. Exits if a world is not complete.

    Args:
        rows: All stored rows, as for `measured`.
    """
    traits = read_traits()
    every = [*fitted_points(), *fitted_worlds()]
    curves = measured(every, rows)
    if missing := [point.name for point in every if point.name not in curves]:
        sys.exit(f"Codebook sizes of {', '.join(missing)} are not complete.")
    costs = np.zeros(len(POWERS))
    for name, own in (curves | _of_300k(rows)).items():
        gains = np.array([*own.values()])
        replicates = REPLICATES if name in curves else OF_300K
        of_world = [traits[name, str(replicate), USUAL] for replicate in range(replicates)]
        for place, power in enumerate(POWERS):
            share = np.mean([size_shares(one, [*own], power) for one in of_world], axis=0)
            best = max(share @ gains / (share @ share), 0)
            costs[place] += np.square(gains - best * share).sum()
    return float(POWERS[np.argmin(costs)])


def _of_300k(rows: Rows) -> dict[str, dict[int, float]]:
    """Return the net gains of the three sizes with 300,000 impressions, pp, as `measured` does."""
    codes = {point.name: point.codes for point in points()}
    found = {}
    for at in ("1", "0"):
        random = gains_of(rows, f"vectors-{at}", CONTROL)[SIZED]
        names = f"codes-0.5-{at}", f"main-300k-{at}", f"codes-8-{at}"
        found[names[1]] = {
            codes[name]: float((gains_of(rows, name)[SIZED] - random).mean()) for name in names
        }
    return found


def predicted(fit: Fit, names: Sequence[str]) -> dict[str, list[tuple[SizeForecast, ...]]]:
    """Return the forecast of every size by world, for each replicate.

    Args:
        fit: A fit.
        names: The names of worlds.
    """
    found: dict[str, list[tuple[SizeForecast, ...]]] = {name: [] for name in names}
    for (name, _, version), traits in read_traits().items():
        if name in found:
            found[name].append(forecast(name, version, WIDTH, traits, fit).sizes)
    return found


def reliability(what: str, gains: Sizes, forecasts: Forecasts) -> SizeReliability:
    """Return how well useful sizes are named.

    Args:
        what: A description of the worlds.
        gains: The measured gains.
        forecasts: The forecasts of these worlds.
    """
    called, small, useful, lost = [], [], [], []
    for world, own in gains.items():
        good, best = useful_sizes(own), max(own.values())
        default = min(own, key=lambda size: abs(math.log(size / DEFAULT)))
        for sizes in forecasts[world]:
            sizes = [one for one in sizes if one.size in own]
            called += [one.useful for one in sizes]
            small += [one.size in SMALL_SIZES for one in sizes]
            useful += [one.size in good for one in sizes]
            chosen = max(sizes, key=lambda one: one.gain_pp).size, SMALL_SIZES[0], default
            lost.append([best - own[size] for size in chosen])
    ours, fixed, true = np.array([called, small, useful], bool)
    lost_pp, fixed_lost_pp, default_lost_pp = np.mean(lost, axis=0).tolist()
    return SizeReliability(
        what=what,
        worlds=len(gains),
        replicates=len(lost),
        called=int(ours.sum()),
        right=float(true[ours].mean()),
        fixed_right=float(true[fixed].mean()),
        found=float(ours[true].mean()),
        fixed_found=float(fixed[true].mean()),
        lost_pp=lost_pp,
        fixed_lost_pp=fixed_lost_pp,
        default_lost_pp=default_lost_pp,
    )


def useful_sizes(gains: Mapping[int, float]) -> set[int]:
    """Return the sizes that are useful by their measured gains.

    Args:
        gains: The gain of each size, pp.
    """
    best = max(gains.values())
    return {size for size, gain in gains.items() if best >= LEAST_PP and gain >= USEFUL * best}


def lines(judged: Sequence[SizeReliability], gains: Sizes, forecasts: Forecasts) -> list[str]:
    """Return a table of the reliability, and one of all gains.

    Args:
        judged: The reliability, by groups of worlds.
        gains: The measured gains of all of them.
        forecasts: The forecasts of all of them.
    """
    small = " and ".join(map(str, SMALL_SIZES))
    head = (
        *("codebook sizes", "worlds", "replicates", f"called useful / {small}", "right"),
        *("found, of useful ones", f"gain lost, pp / with {SMALL_SIZES[0]} / with the default"),
    )
    found = [markdown_row(head), f"|---|{'---:|' * (len(head) - 1)}"]
    for one in judged:
        shown = (
            f"{one.right:.0%} / {one.fixed_right:.0%}",
            f"{one.found:.0%} / {one.fixed_found:.0%}",
            f"{one.lost_pp:.2f} / {one.fixed_lost_pp:.2f} / {one.default_lost_pp:.2f}",
        )
        called = f"{one.called} / {len(SMALL_SIZES) * one.replicates}"
        found.append(markdown_row([one.what, one.worlds, one.replicates, called, *shown]))
    found += [
        "",
        "Predicted / measured net gain of `cluster_id` by codebook size, pp. Bold: called useful "
        "in both replicates / useful.",
    ]
    found += ["", markdown_row(["world", *SIZES]), f"|---|{'---:|' * len(SIZES)}"]
    for world, own in gains.items():
        good, row = useful_sizes(own), []
        for size in SIZES:
            of_size = [one for sizes in forecasts[world] for one in sizes if one.size == size]
            if size not in own or not of_size:
                row.append("–")
                continue
            mean = float(np.mean([one.gain_pp for one in of_size]))
            ours = _marked(mean, all(one.useful for one in of_size))
            row.append(f"{ours} / {_marked(own[size], size in good)}")
        found.append(markdown_row([world, *row]))
    return found


def _marked(gain: float, bold: bool) -> str:
    return f"**{gain:+.1f}**" if bold else f"{gain:+.1f}"


if __name__ == "__main__":
    main()
