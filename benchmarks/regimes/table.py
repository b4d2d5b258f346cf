"""Writes results/tables/regimes.md from results/tables/regimes.csv.

`python -m benchmarks.regimes.table` shows, for the grid of alignments and sizes, the gain of each
mode, the winner of each point, and where pairs of modes cross. README.md defines all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from benchmarks.regimes.averaged import AVERAGED
from benchmarks.regimes.details import DETAILS, HEADS, PLAIN, worlds
from benchmarks.regimes.rounding import ROUNDING
from benchmarks.regimes.study import ALIGNMENTS, CONTROL, SIZES, points, read_rows
from benchmarks.shared import markdown_row, write_table

if TYPE_CHECKING:
    from benchmarks.regimes.marks import Map

LEVEL, RESAMPLES = 0.95, 2000
FEWEST = 3  # replicates of a point that has intervals and can have a winner
CROSSINGS = (("sim_score", "vector"), ("sim_score", "cluster_id"), ("vector", "cluster_id"))
SOFTMAX = "sim_attention"  # its baseline has a softmax
DETAILED = ("vector", "sim_score", "cluster_id")  # the modes of `details.py` and of differences
Gains = Mapping[str, np.ndarray]  # mode -> (replicates,) delta of GAUC, pp


def gains_of(
    rows: list[dict[str, str]], point: str, version: str = "oracle"
) -> dict[str, np.ndarray]:
    """Return the gains of all modes at a point, (replicates,) in their order each, in pp.

    Args:
        rows: The stored rows.
        point: The name of the point.
        version: The version of the vectors.
    """
    of_replicate: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for row in rows:
        if row["point"] == point:
            of_replicate[row["replicate"]][row["version"], row["mode"]] = float(row["gauc"])
    found = defaultdict(list)
    for replicate in sorted(of_replicate, key=int):
        values = of_replicate[replicate]
        for (name, mode), value in values.items():
            if name == version:
                baseline = "none/softmax" if mode == SOFTMAX else "none"
                found[mode].append(100 * (value - values["", baseline]))
    return {mode: np.array(gains) for mode, gains in found.items()}


def interval(gains: np.ndarray) -> tuple[float, float]:
    """Return the t interval of the mean over replicates; NaN for fewer than three."""
    if len(gains) < FEWEST:
        return np.nan, np.nan
    half = stats.t.ppf((1 + LEVEL) / 2, len(gains) - 1) * stats.sem(gains)
    return float(gains.mean() - half), float(gains.mean() + half)


def winner(gains: Gains) -> str | None:
    """Return the mode whose gain exceeds all others, each after Holm's correction; else None.

    A point with fewer than three replicates has no winner.
    """
    if len(next(iter(gains.values()))) < FEWEST:
        return None
    best = max(gains, key=lambda mode: gains[mode].mean())
    others = [mode for mode in gains if mode != best]
    p = sorted(float(stats.ttest_rel(gains[best], gains[mode]).pvalue) for mode in others)
    passed = all(value <= (1 - LEVEL) / (len(p) - rank) for rank, value in enumerate(p))
    return best if passed and gains[best].mean() > 0 else None


def crossing(by_alignment: Mapping[float, Gains], first: str, second: str) -> float | None:
    """Return the largest alignment at which the difference of two modes is zero; None: nowhere.

    Args:
        by_alignment: The gains by alignment.
        first: A mode.
        second: The other mode.
    """
    levels = sorted(by_alignment, reverse=True)
    differences = [
        float((by_alignment[level][first] - by_alignment[level][second]).mean()) for level in levels
    ]
    for (high, above), (low, below) in pairwise(zip(levels, differences, strict=True)):
        if above * below <= 0 and above != below:
            return high - (high - low) * above / (above - below)
    return None


def crossing_text(by_alignment: Mapping[float, Gains], first: str, second: str) -> str:
    """Return a crossing with its interval, from resamples of replicates.

    All alignments have the same replicates in a resample, because they share seeds of worlds.
    """
    rng, found = np.random.default_rng(0), []
    count = len(next(iter(by_alignment.values()))[first])
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, count, count)
        drawn = {
            level: {mode: gains[mode][chosen] for mode in (first, second)}
            for level, gains in by_alignment.items()
        }
        found.append(crossing(drawn, first, second))
    there = [value for value in found if value is not None]
    share = len(there) / len(found)
    point = crossing(by_alignment, first, second)
    if point is None or share < LEVEL:
        shown = "none" if point is None else f"{point:.2f}"
        return f"{shown}; {share:.0%} of resamples cross"
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return f"{point:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Write the table."""
    write_table("regimes.md", "\n".join(lines(read_rows())))


def lines(rows: list[dict[str, str]]) -> list[str]:
    """Return the lines of the table.

    Args:
        rows: The stored rows.
    """
    from benchmarks.regimes.marks import CLAIMS, Map, marks  # use functions of this module

    found = ["Made by `benchmarks/regimes/table.py`; do not edit."]
    for size, (impressions, _) in SIZES.items():
        every = {level: gains_of(rows, f"main-{size}-{level:g}") for level in ALIGNMENTS}
        by_alignment = {level: gains for level, gains in every.items() if gains}
        if by_alignment:
            found += ["", f"## {impressions:,} training impressions", ""]
            found += _grid(rows, size, by_alignment)
            if len(by_alignment) == len(ALIGNMENTS):
                found += ["", "Crossings, as alignments:", "", *_crossings(by_alignment)]
    found += [*_nets(rows), *_averaged(read_rows(AVERAGED)), *_rounding(rows, read_rows(ROUNDING))]
    found += [*_single_factors(rows), *_details(Map(rows, read_rows(DETAILS)))]
    found += ["", "## Hypotheses and claims", "", "| | | figures |", "|---|---|---|"]
    for name, mark, reason in marks(rows):
        label = f"{name}: {CLAIMS[name]}" if name in CLAIMS else name
        found.append(markdown_row([label, f"**{mark}**", reason]))
    return found


def _grid(rows: list[dict[str, str]], size: str, by_alignment: Mapping[float, Gains]) -> list[str]:
    baselines = (
        np.mean(
            [float(row["gauc"]) for row in rows if (row["point"], row["mode"]) == (point, "none")]
        )
        for point in (f"main-{size}-{level:g}" for level in by_alignment)
    )
    few = all(len(gains["vector"]) < FEWEST for gains in by_alignment.values())
    over = "of each replicate" if few else f"with {LEVEL:.0%} intervals over replicates"
    return [
        f"Gain in GAUC over the baseline, pp, {over} ({_counts(by_alignment)}).",
        "",
        *_by_alignment(by_alignment, "gain"),
        markdown_row(["GAUC of the baseline, %", *(f"{100 * b:.2f}" for b in baselines)]),
    ]


def _counts(by_alignment: Mapping[float, Gains]) -> str:
    return ", ".join(str(len(gains["vector"])) for gains in by_alignment.values())


def _head(first: str, by_alignment: Mapping[float, Gains]) -> list[str]:
    return [
        markdown_row([first, *(f"alignment {level:g}" for level in by_alignment)]),
        f"|---|{'---:|' * len(by_alignment)}",
    ]


def _by_alignment(by_alignment: Mapping[float, Gains], what: str) -> list[str]:
    """Return a table of the gains of all modes, the winners, and three differences."""
    lines = _head(what, by_alignment)
    for mode in next(iter(by_alignment.values())):
        shown = []
        for gains in by_alignment.values():
            low, high = interval(gains[mode])
            text = f"{gains[mode].mean():+.2f} [{low:+.2f}, {high:+.2f}]"
            shown.append(_one_by_one(gains[mode]) or text)
        lines.append(markdown_row([mode, *shown]))
    winners = (
        winner(gains) or ("–" if _one_by_one(gains["vector"]) else "no significant difference")
        for gains in by_alignment.values()
    )
    lines.append(markdown_row(["**winner**", *winners]))
    for first, second in CROSSINGS:
        pairs = (gains[first] - gains[second] for gains in by_alignment.values())
        lines.append(markdown_row([f"`{first}` minus `{second}`", *map(_half, pairs)]))
    return lines


def controls_of(rows: list[dict[str, str]], size: str) -> dict[float, Gains]:
    """Return the gains of random vectors by alignment, where they are complete.

    Args:
        rows: The stored rows.
        size: A size of the map.
    """
    found = {}
    for level in ALIGNMENTS:
        point = f"vectors-{level:g}" if size == "300k" else f"main-{size}-{level:g}"
        gains = gains_of(rows, point, CONTROL)
        if gains and len(gains["vector"]) == SIZES[size][1]:
            found[level] = gains
    return found


def net_gains(rows: list[dict[str, str]], size: str) -> dict[float, Gains]:
    """Return the gains over random vectors in the same replicates, by alignment.

    Args:
        rows: The stored rows.
        size: A size of the map.
    """
    found = {}
    for level, control in controls_of(rows, size).items():
        gains = gains_of(rows, f"main-{size}-{level:g}")
        if gains and len(gains["vector"]) == SIZES[size][1]:
            found[level] = {mode: gains[mode] - control[mode] for mode in gains}
    return found


def _nets(rows: list[dict[str, str]]) -> list[str]:
    """Return the tables of gains over random vectors, and of those of random vectors."""
    found: list[str] = []
    for size, (impressions, _) in SIZES.items():
        if net := net_gains(rows, size):
            found += ["", f"## Controls: {impressions:,} training impressions", ""]
            found += [f"Net gain in GAUC, over random vectors, pp, {_counts(net)} replicates.", ""]
            found += _by_alignment(net, "net gain")
            if len(net) == len(ALIGNMENTS):
                found += ["", "Crossings of net gains, as alignments:", "", *_crossings(net)]
            found += ["", "Gain of random vectors over the baseline, pp:", ""]
            controls = controls_of(rows, size)
            found += _head("random vectors", controls)
            for mode in next(iter(controls.values())):
                found.append(
                    markdown_row([mode, *(_half(gains[mode]) for gains in controls.values())])
                )
    return found


def _averaged(rows: list[dict[str, str]]) -> list[str]:
    """Return the tables of `averaged.py`, with net gains where there are random vectors."""
    found: list[str] = []
    for size, (impressions, _) in SIZES.items():
        points_at = {level: f"main-{size}-{level:g}" for level in ALIGNMENTS}
        every = {level: gains_of(rows, point) for level, point in points_at.items()}
        if by_alignment := {level: gains for level, gains in every.items() if gains}:
            found += ["", f"## Averaged weights: {impressions:,} training impressions", ""]
            found += _grid(rows, size, by_alignment)
            random = {level: gains_of(rows, points_at[level], CONTROL) for level in by_alignment}
            net = {
                level: {mode: gains[mode] - random[level][mode] for mode in gains}
                for level, gains in by_alignment.items()
                if random[level]
            }
            if net:
                found += ["", "Net gain in GAUC, over random vectors, pp:", ""]
                found += _by_alignment(net, "net gain")
    return found


def _rounding(rows: list[dict[str, str]], again: list[dict[str, str]]) -> list[str]:
    """Return the table of baselines that were trained again, where rounding differs.

    Args:
        rows: The stored rows of the map.
        again: The rows of the other trainings.
    """
    stored = {
        (row["point"], row["replicate"]): float(row["gauc"])
        for row in rows
        if row["mode"] == "none"
    }
    found = ["", "## Baselines trained again, with other rounding", ""]
    found += ["Those without averaged weights are compared with the rows of the map.", ""]
    heads = "point", "replicate", "trained on", "weight averaging", "GAUC, %", "difference, pp"
    found += [markdown_row(heads), "|---|---:|---|---:|---:|---:|"]
    for row in again:
        own, place = float(row["gauc"]), (row["point"], row["replicate"])
        plain = row["weight_averaging"] == "0" and place in stored
        difference = f"{100 * (own - stored[place]):+.2f}" if plain else ""
        shown = row["trained_on"], row["weight_averaging"], f"{100 * own:.3f}", difference
        found.append(markdown_row([*place, *shown]))
    return found if again else []


def _crossings(by_alignment: Mapping[float, Gains]) -> list[str]:
    return [
        f"- `{first}` and `{second}`: {crossing_text(by_alignment, first, second)}"
        for first, second in CROSSINGS
    ]


def _single_factors(rows: list[dict[str, str]]) -> list[str]:
    """Return a table per alignment: the gains of all modes at each level of the other factors."""
    found: list[str] = []
    for at in ("1", "0"):
        levels = [("default", f"main-300k-{at}", "oracle")]
        for point in points():
            name, alignment = point.name.rsplit("-", 1)
            if not name.startswith("main") and alignment == at:
                for version in point.versions:
                    shown = version if len(point.versions) > 1 else name
                    levels.append((shown, point.name, version))
        gains = {shown: gains_of(rows, name, version) for shown, name, version in levels}
        known = {shown: of for shown, of in gains.items() if of and len(of["vector"]) > 1}
        if len(known) > 1:
            modes = list(known["default"])
            found += ["", f"## One factor at a time, 300,000 training impressions, alignment {at}"]
            found += ["", "Gain in GAUC, pp, ± half of the width of the 95% interval.", ""]
            pairs = [f"`{first}` minus `{second}`" for first, second in CROSSINGS]
            found += [markdown_row(["level", "replicates", *modes, *pairs])]
            found += [f"|---|---:|{'---:|' * (len(modes) + len(pairs))}"]
            for shown, of in known.items():
                texts = [_half(of[mode]) if mode in of else "–" for mode in modes]
                texts += [_half(of[first] - of[second]) for first, second in CROSSINGS]
                found.append(markdown_row([shown, len(of["vector"]), *texts]))
            found += ["", "Difference from the gain at the default, by replicate, pp.", ""]
            found += [markdown_row(["level", *DETAILED]), f"|---|{'---:|' * len(DETAILED)}"]
            usual = known.pop("default")
            for shown, of in known.items():
                pairs = (_half(of[mode] - usual[mode]) for mode in DETAILED)
                found.append(markdown_row([shown, *pairs]))
    return found


def _details(found: Map) -> list[str]:
    """Return the tables of `details.py`: new items, and vectors that `courier` trained."""
    lines = ["", "## New items, and layers that `courier` trained, 300,000 training impressions"]
    lines += ["", "Gain in GAUC, pp, ± half of the width of the 95% interval.", ""]
    lines += [markdown_row(["world", "vectors", "test impressions", *DETAILED])]
    lines += [f"|---|---|---|{'---:|' * len(DETAILED)}"]
    for world in worlds():
        share = found.detail(world.name, "", "none", "new_share").mean()
        shown = {"gauc": "all", "new_gauc": f"of new items ({share:.0%})"}
        for version in ("oracle", PLAIN, *HEADS):
            for column, which in shown.items():
                if version in world.versions and (column == "gauc" or version == "oracle"):
                    gains = (found.detailed_gain(world.name, version, m, column) for m in DETAILED)
                    lines.append(markdown_row([world.name, version, which, *map(_half, gains)]))
    return lines


def _one_by_one(gains: np.ndarray) -> str:
    """Return the gain of each replicate, if they are too few for an interval; else nothing."""
    return ", ".join(f"{gain:+.2f}" for gain in gains) if len(gains) < FEWEST else ""


def _half(gains: np.ndarray) -> str:
    """Return the mean with half of the width of its interval."""
    if few := _one_by_one(gains):
        return few
    mean = round(gains.mean(), 2) + 0.0  # no negative zero
    return f"{mean:+.2f} ± {interval(gains)[1] - gains.mean():.2f}"


if __name__ == "__main__":
    main()
