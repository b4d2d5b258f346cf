"""Fits what `ctrbench advise` predicts with, and measures how well it predicts other worlds.

`python -m benchmarks.regimes.advice` reads the stored rows of the map and of `outside.py` and their
traits, and writes ctrbench/advising/fit.json and results/tables/advice.md. It trains nothing, so a
refit after new rows is `traits.py` and this command.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.regimes import codebooks
from benchmarks.regimes.outside import LAST, OUTSIDE, OtherWorld, held_out, worlds
from benchmarks.regimes.study import CONTROL, SIZES, Point, points, read_rows
from benchmarks.regimes.table import SOFTMAX
from benchmarks.regimes.traits import read_traits
from benchmarks.shared import markdown_row, write_table
from ctrbench.advising.prediction import (
    FILE,
    LARGER,
    LEVEL,
    REFERENCE_SIZE,
    Fit,
    Reliability,
    SizeReliability,
    factors,
    has_one_codebook,
)
from ctrbench.advising.traits import Traits
from data_synth.world import WorldConfig

# what each mode can learn; `factors` also has each of these x log10 impressions
STAND_INS = {
    "vector": ("bilinear",),
    "sim_score": ("similarity",),
    "sim_tier": ("similarity",),
    "cluster_id": ("codes", "best codes"),
    "residual_id": ("codes",),
    "product_id": ("codes",),
    "hash_id": ("codes",),
    "id_init": ("bilinear",),
    "sim_tier+cluster_id": ("similarity", "codes", "best codes"),
    "sim_attention": ("similarity",),
}
PLACE = {"similarity": 0, "bilinear": 1, "codes": 2, "best codes": 3}
PENALTY = 0.03  # of the ridge regression, relative to the mean square of a factor
FLOORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # pp
RANGED = (
    *("impressions", "per_item", "cold", "clicks", "ctr", "baseline"),
    *("similarity_pp", "bilinear_pp"),
)
HEAD = (
    *("predicted", "worlds", "replicates", "error, pp", "rank correlation", "winner right"),
    *("best among leaders", "predictable pairs", "right"),
)
HELD_OUT = "worlds held out of every fit"
LARGEST = SIZES["1500k"][0]  # training impressions of the fit
NEAR_PP = 0.3  # a predicted winner this close to the best one is right


@dataclass(frozen=True)
class Trained:
    """A replicate of a world and a version: traits, and the measured net gain of each mode."""

    point: Point
    version: str
    traits: Traits
    size: int  # of the codebook of `cluster_id`
    gains: np.ndarray  # (M,) pp over random vectors, in the order of STAND_INS

    @property
    def world(self) -> str:
        """The name of the world and the version, which all replicates share."""
        return f"{self.point.name}/{self.version}"

    @property
    def log(self) -> WorldConfig:
        """The log, without its seed; points and versions that share one are left out together."""
        return self.point.config(0)

    def factors(self, mode: str) -> np.ndarray:
        """Return the factors of a mode, (F,)."""
        return factors(self.traits, self.size if has_one_codebook(mode) else REFERENCE_SIZE)


def read_trained() -> list[Trained]:
    """Return all replicates that have both stored rows and stored traits."""
    known: dict[str, Point] = {point.name: point for point in [*points(), *worlds(), *held_out()]}
    gauc: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for row in [*read_rows(), *read_rows(OUTSIDE)]:
        gauc[row["point"], row["replicate"]][row["version"], row["mode"]] = float(row["gauc"])
    controls: dict[object, list[np.ndarray]] = defaultdict(list)
    for (name, _), values in gauc.items():
        if (CONTROL, "vector") in values:
            controls[_construction(known[name])].append(_gains(values, CONTROL))
    found = []
    for (name, replicate, version), traits in read_traits().items():
        if name not in known or known[name].training:  # no trait shows a warm start
            continue
        values, point = gauc[name, replicate], known[name]
        own = _construction(point)
        if own not in controls:  # take those of the map of the nearest size
            sizes = (size for size in controls if isinstance(size, int))
            own = min(sizes, key=lambda size: abs(np.log(size / point.impressions)))
        gains = _gains(values, version) - np.mean(controls[own], axis=0)
        found.append(Trained(point, version, traits, point.codes, gains))
    return found


def _construction(point: Point) -> object:
    """Return what the points have in common whose controls are averaged."""
    return point.name if isinstance(point, OtherWorld) else point.impressions


def _gains(values: Mapping[tuple[str, str], float], version: str) -> np.ndarray:
    """Return the gains of a version over the baseline, (M,), pp."""
    return 100 * np.array(
        [
            values[version, mode] - values["", "none/softmax" if mode == SOFTMAX else "none"]
            for mode in STAND_INS
        ]
    )


def fitted(trained: Sequence[Trained]) -> Fit:
    """Return the fit, with errors of worlds that were left out.

    Args:
        trained: Replicates of at least three sizes, and those that no fit uses.
    """
    trained, larger, held = parted(trained)
    inside = [one for one in trained if not isinstance(one.point, OtherWorld)]
    floor, covariance, quantile = _errors(trained, _leave_out(trained, _family)[0])
    made = Fit(
        modes=tuple(STAND_INS),
        weights=_weights(trained),
        floor_pp=floor,
        covariance=covariance,
        quantile=quantile,
        ranges={name: _range(trained, name) for name in RANGED},
        reliability=(),
    )
    reliability = []
    for what, group, key in (
        ("one log left out", trained, _log),
        ("one alignment left out", inside, _alignment),
        ("one size left out", inside, _size),
    ):
        if len(set(map(key, group))) > 1:
            reliability.append(_reliability(what, group, *_leave_out(group, key), made))
    others = [one for one in trained if isinstance(one.point, OtherWorld)]
    for what, group, from_ in (
        ("other constructions, from the map alone", others, inside),
        (LARGER, larger, trained),
        (f"{HELD_OUT}, known before", [one for one in held if not _is_last(one)], trained),
        (HELD_OUT, [one for one in held if _is_last(one)], trained),
    ):
        if group:
            found = _predictions(group, from_)
            reliability.append(_reliability(what, group, *found, made))
    return replace(made, reliability=tuple(reliability))


def _is_last(one: Trained) -> bool:
    return one.point.name.startswith(LAST)


def parted(
    trained: Sequence[Trained],
) -> tuple[list[Trained], list[Trained], list[Trained]]:
    """Return the replicates that a fit may use, those of larger logs, and those held out.

    The traits of larger logs have the largest size of the fit, as in `ctrbench advise`.
    """
    names = {world.name for world in held_out()}
    held = [one for one in trained if one.point.name in names]
    usable = [one for one in trained if one.point.name not in names]
    larger = [
        replace(one, traits=replace(one.traits, impressions=LARGEST))
        for one in usable
        if one.point.impressions > LARGEST
    ]
    return [one for one in usable if one.point.impressions <= LARGEST], larger, held


def _log(one: Trained) -> object:
    return one.log


def _alignment(one: Trained) -> float:
    return one.point.alignment


def _size(one: Trained) -> int:
    return one.point.impressions


def _family(one: Trained) -> object:
    """Return what a log of one's own differs in from every world: its size, or construction."""
    return "other" if isinstance(one.point, OtherWorld) else one.point.impressions


def _range(trained: Sequence[Trained], name: str) -> tuple[float, float]:
    values = [float(getattr(one.traits, name)) for one in trained]
    return min(values), max(values)


def _shares(trained: Sequence[Trained]) -> np.ndarray:
    """Return the weights of replicates, (n,): the square root of their number per world."""
    names = [one.world for one in trained]
    return np.array([names.count(name) ** -0.5 for name in names])


def _weights(trained: Sequence[Trained]) -> np.ndarray:
    """Return the weights of a ridge regression per mode, (M, F)."""
    share, found = _shares(trained), []
    for place, (mode, stand_ins) in enumerate(STAND_INS.items()):
        columns = np.stack([one.factors(mode) for one in trained])
        own = [PLACE[name] for name in stand_ins]
        used = [*own, *(column + len(PLACE) for column in own)]
        chosen = columns[:, used]
        size = np.average(columns[:, own] ** 2, axis=0, weights=share)
        scale = np.tile(np.sqrt(size), 2)  # a factor and its product with the size have one unit
        scaled = chosen / scale
        square = scaled.T @ (scaled * share[:, None]) + PENALTY * share.sum() * np.eye(len(used))
        moment = scaled.T @ (share * np.array([one.gains[place] for one in trained]))
        weights = np.zeros(columns.shape[1])
        weights[used] = np.linalg.solve(square, moment) / scale
        found.append(weights)
    return np.stack(found)


def _predicted(weights: np.ndarray, one: Trained) -> np.ndarray:
    return np.array([row @ one.factors(mode) for row, mode in zip(weights, STAND_INS, strict=True)])


def _leave_out(
    trained: Sequence[Trained], key: Callable[[Trained], object]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `_predictions` does, for each group from all others."""
    found, means = np.zeros((2, len(trained), len(STAND_INS)))
    for group in set(map(key, trained)):
        rows = [row for row, one in enumerate(trained) if key(one) == group]
        others = [one for one in trained if key(one) != group]
        found[rows], means[rows] = _predictions([trained[row] for row in rows], others)
    return found, means


def _predictions(
    group: Sequence[Trained], from_: Sequence[Trained]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted gains of a fit, and the mean gains of its worlds, (n, M) each."""
    weights = _weights(from_)
    of_world = [np.mean([from_[row].gains for row in rows], 0) for rows in _worlds(from_).values()]
    mean = np.tile(np.mean(of_world, axis=0), (len(group), 1))
    return np.stack([_predicted(weights, one) for one in group]), mean


def _worlds(trained: Sequence[Trained]) -> dict[str, list[int]]:
    """Return the places of the replicates of each world and version."""
    found: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(trained):
        found[one.world].append(row)
    return found


def _errors(trained: Sequence[Trained], predicted: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Return floor, covariance and quantile of `Fit` from predictions of worlds left out.

    An error is that of the mean over replicates, because tables report means over seeds. Worlds
    are weighted by the square root of their replicates, and families of worlds equally.

    Args:
        trained: The replicates.
        predicted: (n, M) their predictions, pp.
    """
    places = _worlds(trained).values()
    share = np.sqrt([len(rows) for rows in places])
    families = [_family(trained[rows[0]]) for rows in places]
    for family in set(families):  # each has the same weight
        own = np.array([one == family for one in families])
        share[own] /= share[own].sum()
    ours = np.stack([predicted[rows].mean(axis=0) for rows in places])
    true = np.stack([np.mean([trained[row].gains for row in rows], axis=0) for rows in places])
    best = None
    for floor in FLOORS:
        scale = np.hypot(floor, ours.max(axis=1).clip(0))
        scaled = (true - ours) / scale[:, None]
        covariance = (scaled * share[:, None]).T @ scaled / share.sum()
        deviation = np.sqrt(np.diag(covariance))
        cost = float(np.average(np.log(scale), weights=share) + np.log(deviation).mean())
        if best is None or cost < best[0]:
            ratio = np.sort(np.abs(scaled) / deviation, axis=None)
            order = np.argsort(np.abs(scaled) / deviation, axis=None)
            mass = np.cumsum(np.repeat(share, len(STAND_INS))[order])
            place = int(np.searchsorted(mass, LEVEL * mass[-1]))
            best = cost, floor, covariance, float(ratio[place])
    assert best is not None
    return best[1:]


def _reliability(
    what: str, trained: Sequence[Trained], predicted: np.ndarray, means: np.ndarray, fit: Fit
) -> Reliability:
    """Return how well predictions agree with what was measured, world by world.

    Other codebook sizes of one log are left out, because most of their gains are equal.

    Args:
        what: A description of the worlds.
        trained: The replicates.
        predicted: (n, M) their predictions, pp.
        means: (n, M) the mean gains of the worlds that were fitted, pp.
        fit: The fit that defines the intervals.
    """
    usual = Point.codes_per_100
    rows_of = {
        name: rows
        for name, rows in _worlds(trained).items()
        if trained[rows[0]].point.codes_per_100 == usual
    }
    found: dict[str, list[float]] = defaultdict(list)
    for rows in rows_of.values():
        ours, mean = predicted[rows].mean(axis=0), means[rows].mean(axis=0)
        true = np.mean([trained[row].gains for row in rows], axis=0)
        found["error"].append(float(np.square(ours - true).mean()))
        found["mean error"].append(float(np.square(mean - true).mean()))
        found["rank"].append(_rank_correlation(ours, true))
        found["fixed rank"].append(_rank_correlation(mean, true))
        found["winner"].append(float(true[np.argmax(ours)] > true.max() - NEAR_PP))
        found["fixed winner"].append(float(true[np.argmax(mean)] > true.max() - NEAR_PP))
        half = fit.half_widths(ours)
        first = int(np.argmax(ours))
        ahead = ours[first] - ours <= np.where(np.arange(len(ours)) == first, 0, half[first])
        found["in leaders"].append(float(ahead[np.argmax(true)]))
        found["leaders"].append(float(ahead.sum()))
        for one in range(len(ours)):
            for two in range(one):
                if abs(ours[one] - ours[two]) > half[one, two]:
                    order = true[one] > true[two]
                    found["right"].append(float((ours[one] > ours[two]) == order))
                    found["fixed right"].append(float((mean[one] > mean[two]) == order))
        found["covered"].append(float((np.abs(ours - true) <= np.diag(half)).mean()))
    mean_of = {name: float(np.mean(values)) for name, values in found.items()}
    return Reliability(
        what=what,
        worlds=len(rows_of),
        replicates=sum(map(len, rows_of.values())),
        error_pp=mean_of["error"] ** 0.5,
        mean_error_pp=mean_of["mean error"] ** 0.5,
        rank_correlation=mean_of["rank"],
        fixed_order=mean_of["fixed rank"],
        winners=mean_of["winner"],
        fixed_winners=mean_of["fixed winner"],
        in_leaders=mean_of["in leaders"],
        leaders=mean_of["leaders"],
        pairs=len(found["right"]),
        right=mean_of.get("right", float("nan")),
        fixed_right=mean_of.get("fixed right", float("nan")),
        all_pairs=len(rows_of) * len(STAND_INS) * (len(STAND_INS) - 1) // 2,
        covered=mean_of["covered"],
    )


def _rank_correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(spearmanr(one, two)[0])  # pyright: ignore[reportArgumentType]


def plain(fit: Fit) -> dict[str, Any]:
    """Return a fit as plain values, rounded to six digits."""
    return {
        "modes": fit.modes,
        "weights": _rounded(fit.weights),
        "floor_pp": fit.floor_pp,
        "covariance": _rounded(fit.covariance),
        "quantile": _rounded(fit.quantile),
        "ranges": {name: _rounded(limits) for name, limits in fit.ranges.items()},
        "reliability": [_plain(one) for one in fit.reliability],
        "size_power": fit.size_power,
        "sizes": [_plain(one) for one in fit.sizes],
    }


def _plain(one: Reliability | SizeReliability) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(one).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, np.ndarray | tuple | list):
        return [_rounded(one) for one in np.asarray(value).tolist()]
    return value


def main() -> None:
    """Write the fit and the table."""
    fit, found = made()
    FILE.write_text(json.dumps(plain(fit), indent=1) + "\n", encoding="utf-8")
    write_table("advice.md", "\n".join(found))


def made() -> tuple[Fit, list[str]]:
    """Return the fit on all stored rows, and the lines of the table."""
    trained = read_trained()
    fit = fitted(trained)
    rows = [*read_rows(codebooks.CODEBOOKS), *read_rows(), *read_rows(OUTSIDE)]
    fit = replace(fit, size_power=codebooks.fitted_power(rows))
    known, held = (
        codebooks.measured(worlds, rows)
        for worlds in (codebooks.known_worlds(), codebooks.held_out_worlds())
    )
    forecasts = codebooks.predicted(fit, [*known, *held])
    sizes = tuple(
        codebooks.reliability(what, gains, forecasts)
        for what, gains in ((f"{HELD_OUT}, known before", known), (HELD_OUT, held))
    )
    found = [*lines(trained, fit), "", *codebooks.lines(sizes, known | held, forecasts)]
    return replace(fit, sizes=sizes), found


def lines(trained: Sequence[Trained], fit: Fit) -> list[str]:
    """Return the lines of the table.

    Args:
        trained: The replicates.
        fit: The fit on them.
    """
    found = [
        "Made by `benchmarks/regimes/advice.py`; do not edit. Every prediction is of worlds that "
        "were left out of the fit. After a stroke: the same for the mean gains of the worlds of "
        "the fit, in place of predictions.",
        "",
        markdown_row([*HEAD, f"in {LEVEL:.0%} intervals"]),
        f"|---|{'---:|' * len(HEAD)}",
    ]
    for one in fit.reliability:
        shown = (
            f"{one.error_pp:.2f} / {one.mean_error_pp:.2f}",
            f"{one.rank_correlation:.2f} / {one.fixed_order:.2f}",
            f"{one.winners:.0%} / {one.fixed_winners:.0%}",
            f"{one.in_leaders:.0%} of {one.leaders:.1f}",
            f"{one.pairs} of {one.all_pairs}",
            f"{one.right:.0%} / {one.fixed_right:.0%}",
            f"{one.covered:.0%}",
        )
        found.append(markdown_row([one.what, one.worlds, one.replicates, *shown]))
    found += [
        "",
        "Predicted / measured net gain in GAUC, pp, one log left out. Random vectors were trained "
        "with 60,000 impressions, with 300,000 at alignments 1 and 0, and in worlds of other "
        "constructions; elsewhere the mean of those with 300,000 is subtracted.",
        "",
    ]
    found += [markdown_row(["world", *STAND_INS]), f"|---|{'---:|' * len(STAND_INS)}"]
    trained, *apart = parted(trained)
    predicted = _leave_out(trained, _log)[0]
    if others := [one for group in apart for one in group]:
        predicted = np.concatenate([predicted, _predictions(others, trained)[0]])
        trained = [*trained, *others]
    for name in dict.fromkeys(one.world for one in trained):
        rows = [row for row, one in enumerate(trained) if one.world == name]
        ours = predicted[rows].mean(axis=0)
        true = np.mean([trained[row].gains for row in rows], axis=0)
        pairs = (f"{a:+.1f} / {b:+.1f}" for a, b in zip(ours, true, strict=True))
        found.append(markdown_row([name, *pairs]))
    return found


if __name__ == "__main__":
    main()
