"""Judges the hypotheses and claims of README.md from the stored rows.

`marks` returns one line each: confirmed, refuted or open, with the figures that decide. README.md
states the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.regimes.details import DETAILS, HEADS, worlds
from benchmarks.regimes.study import ALIGNMENTS, CONTROL, SIZES, points, read_rows
from benchmarks.regimes.table import (
    FEWEST,
    LEVEL,
    Gains,
    crossing,
    crossing_text,
    gains_of,
    interval,
    net_gains,
)

Mark = Literal["confirmed", "refuted", "open"]
Rows = list[dict[str, str]]
STATED = {0.75: 0.73, 0.5: 0.49, 0.25: 0.31, 0.0: 0.26}  # H1
LEAST_RANK = 0.8  # of a screen
NOISY = "noisy_0.5", "noisy_0.125"
STATED_CROSSINGS, TOLERANCE = {"vector": 0.53, "cluster_id": 0.36}, 0.15  # with 60,000
JUDGED = [size for size, (_, replicates) in SIZES.items() if replicates >= FEWEST]
CLAIMS = {  # in a few words; README.md states them in full
    "H1": "`sim_score` keeps 0.73, 0.49, 0.31 and 0.26 of its gain as the alignment falls",
    "H2": "the gain of `cluster_id` does not depend on the alignment",
    "H3": "the gain of `cluster_id` grows by 1 pp with the number of impressions",
    "H4": "`vector` keeps 0.3 to 0.8 of its gain at alignment 0",
    "H5": "`vector` grows faster than `cluster_id`, and is below it at 60,000 impressions",
    "H6": "on new items, `cluster_id` keeps more of its gain than `vector`",
    "H7": "noise in the vectors costs `sim_score` most",
    "H8": "longer histories raise the gain of `sim_score`",
}


class Map:
    """The gains by point."""

    def __init__(self, rows: Rows, details: Rows) -> None:
        """Read the points whose replicates are complete.

        Args:
            rows: The stored rows.
            details: The rows of `details.py`.
        """
        self.rows, self.details = rows, details
        self.replicates = {point.name: point.replicates for point in [*points(), *worlds()]}

    def gains(self, point: str, mode: str, version: str = "oracle") -> np.ndarray | None:
        """Return the gains of a mode, (replicates,); None: they are not complete."""
        found = gains_of(self.rows, point, version).get(mode)
        return found if found is not None and len(found) == self.replicates[point] else None

    def detail(self, point: str, version: str, mode: str, column: str) -> np.ndarray:
        """Return a column of the details of a mode, (replicates,); NaN where a row is missing."""
        found = np.full(self.replicates[point], np.nan)
        for row in self.details:
            if (row["point"], row["version"], row["mode"]) == (point, version, mode):
                found[int(row["replicate"])] = float(row[column])
        return found

    def detailed_gain(self, point: str, version: str, mode: str, column: str) -> np.ndarray:
        """Return the gains of a mode in a column of the details, (replicates,), pp."""
        plain = self.detail(point, "", "none", column)
        return 100 * (self.detail(point, version, mode, column) - plain)

    def ratio(self, size: str, mode: str, level: float) -> tuple[float, float, float] | None:
        """Return the gain at an alignment divided by that at 1, with its interval."""
        at, full = (self.gains(f"main-{size}-{one:g}", mode) for one in (level, 1.0))
        if at is None or full is None:
            return None
        return paired(lambda a, b: a / b, at, full)

    def net_ratios(self, mode: str) -> list[str]:
        """Return, by size, the text of the ratios of net gains to that at alignment 1."""
        found = []
        for size in JUDGED:
            net = {level: gains[mode] for level, gains in net_gains(self.rows, size).items()}
            full = net.pop(1.0, None)
            if full is not None and net:
                ratios = (
                    f"{_shown(paired(lambda a, b: a / b, gains, full))} at {level:g}"
                    for level, gains in net.items()
                )
                found.append(f"net {size}: {', '.join(ratios)}")
        return found

    def grid(self, size: str) -> dict[float, Gains]:
        """Return the gains of all modes by alignment; empty: some point is not complete."""
        found: dict[float, Gains] = {}
        for level in ALIGNMENTS:
            point = f"main-{size}-{level:g}"
            if point in self.replicates and self.gains(point, "vector") is not None:
                found[level] = gains_of(self.rows, point)
        return found if len(found) == len(ALIGNMENTS) else {}


def paired(of_means: Callable[..., float], *gains: np.ndarray) -> tuple[float, float, float]:
    """Return a function of mean gains, and the ends of its 95 % t interval.

    Source: The jackknife (Tukey 1958), over replicates. For a mean it is Student's interval.

    Args:
        of_means: The function of the means.
        gains: (replicates,) each; a place is one replicate in all of them.
    """
    count = len(gains[0])
    value = of_means(*(one.mean() for one in gains))
    left_out = [
        of_means(*(np.delete(one, place).mean() for one in gains)) for place in range(count)
    ]
    error = np.sqrt((count - 1) * np.var(left_out))
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * error
    return float(value), float(value - half), float(value + half)


def growth(small: np.ndarray, large: np.ndarray) -> tuple[float, float, float]:
    """Return the difference of two means of other worlds, and the ends of its 95 % interval.

    Source: Welch's t interval.

    Args:
        small: (replicates,).
        large: (other replicates,) from which the mean of `small` is subtracted.
    """
    ends = stats.ttest_ind(large, small, equal_var=False).confidence_interval(LEVEL)
    return float(large.mean() - small.mean()), float(ends.low), float(ends.high)


def marks(rows: Rows | None = None, details: Rows | None = None) -> list[tuple[str, Mark, str]]:
    """Return (name, mark, reason) of every hypothesis and claim.

    Args:
        rows: The stored rows; None: those of results/tables/regimes.csv.
        details: The rows of `details.py`; None: those of results/tables/regimes_details.csv.
    """
    found = Map(
        read_rows() if rows is None else rows, read_rows(DETAILS) if details is None else details
    )
    judges = {
        "H1": _h1,
        "H2": _h2,
        "H3": _h3,
        "H4": _h4,
        "H5": _h5,
        "H6": _h6,
        "H7": _h7,
        "H8": _h8,
        "Crossings": _crossings,
        "Claim: order of modes": _order,
        "Claim: more clusters keep more information": _clusters,
        "Claim: the gradient of `vector` vanishes": _gradient,
        "Claim: the projection head hurts": _head,
        "Claim: `sim_score` screens for `cluster_id`": _screen,
    }
    return [(name, *judge(found)) for name, judge in judges.items()]


def _shown(value: tuple[float, float, float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*value)


def _of_size(size: str, value: tuple[float, float, float]) -> str:
    """Return a value with its interval, or without one if the size has too few replicates."""
    return _shown(value) if size in JUDGED else f"{value[0]:.2f}"


def _h1(found: Map) -> tuple[Mark, str]:
    parts, refuted, by_level = [], False, {}
    for size in SIZES:
        ratios = {level: found.ratio(size, "sim_score", level) for level in STATED}
        known = {level: ratio for level, ratio in ratios.items() if ratio}
        for level, (value, low, high) in known.items():
            if size in JUDGED:
                excluded = not low <= STATED[level] <= high
                refuted |= excluded and abs(value - STATED[level]) > 0.2
                by_level.setdefault(level, []).append((low, high))
        if known:
            shown = (f"{_of_size(size, one)} at {level:g}" for level, one in known.items())
            parts.append(f"{size}: {', '.join(shown)}")
    changes = any(
        max(low for low, _ in ends) > min(high for _, high in ends) for ends in by_level.values()
    )
    complete = all(found.grid(size) for size in JUDGED)
    mark = "refuted" if refuted or changes else "confirmed" if complete else "open"
    if changes:
        parts.append("intervals of sizes are disjoint")
    return mark, "; ".join([*parts, *found.net_ratios("sim_score")])


def _ends(
    found: Map, mode: str, judge: Callable[[float, float], bool]
) -> tuple[list[bool], list[str]]:
    """Return whether the gains at alignment 0 and 1 pass, by complete size, and their text."""
    passed, parts = [], []
    for size in SIZES:
        low, high = (found.gains(f"main-{size}-{level:g}", mode) for level in (0.0, 1.0))
        if low is not None and high is not None:
            if size in JUDGED:
                passed.append(judge(low.mean(), high.mean()))
            parts.append(f"{size}: {low.mean():+.2f} at 0 and {high.mean():+.2f} pp at 1")
    return passed, parts


def _h2(found: Map) -> tuple[Mark, str]:
    passed, parts = _ends(
        found, "cluster_id", lambda low, high: not abs(low - high) > max(0.5, 0.2 * abs(high))
    )
    return _of(passed, len(passed) == len(JUDGED)), "; ".join(parts)


def _h3(found: Map) -> tuple[Mark, str]:
    small, large = (found.gains(f"main-{size}-1", "cluster_id") for size in ("60k", "1500k"))
    if small is None or large is None:
        return "open", "1,500,000 training impressions are not complete"
    grown = growth(small, large)
    return _at_least(1, grown), f"growth {_shown(grown)} pp"


def _h4(found: Map) -> tuple[Mark, str]:
    ratios = {size: found.ratio(size, "vector", 0.0) for size in SIZES}
    known = {size: ratio for size, ratio in ratios.items() if ratio}
    passed = [0.3 <= ratio[0] <= 0.8 for size, ratio in known.items() if size in JUDGED]
    shown = "; ".join(f"{size}: {_of_size(size, ratio)}" for size, ratio in known.items())
    reason = "; ".join([f"ratio {shown}", *found.net_ratios("vector")])
    return _of(passed, len(passed) == len(JUDGED)), reason


def _h5(found: Map) -> tuple[Mark, str]:
    above = []
    for level in (0.5, 0.25, 0.0):
        pair = [found.gains(f"main-60k-{level:g}", mode) for mode in ("vector", "cluster_id")]
        if pair[0] is None or pair[1] is None:
            return "open", "60,000 training impressions are not complete"
        above.append(paired(float, pair[0] - pair[1]))
    shown = ", ".join(map(_shown, above))
    mark = "refuted" if any(low > 0 for _, low, _ in above) else "open"
    grew = []
    for mode in ("vector", "cluster_id"):
        small, large = (found.gains(f"main-{size}-1", mode) for size in ("60k", "1500k"))
        if small is not None and large is not None:
            grew.append(f"`{mode}` {_shown(growth(small, large))}")
    grown = f"; growth from 60k to 1500k at 1: {', '.join(grew)} pp" if grew else ""
    return mark, f"60k: `vector` minus `cluster_id` {shown} pp at 0.5, 0.25 and 0{grown}"


def _h6(found: Map) -> tuple[Mark, str]:
    parts, over = [], []
    for point in ("details-1", "details-cold"):
        gains = [
            found.detailed_gain(point, "oracle", mode, column)
            for mode in ("cluster_id", "vector")
            for column in ("new_gauc", "gauc")
        ]
        if np.isnan(gains).any():
            return "open", f"the world `{point}` is not complete"
        cluster, vector = (gains[k].mean() / gains[k + 1].mean() for k in (0, 2))
        over.append(paired(lambda a, b, c, d: a / b - c / d, *gains))
        parts.append(
            f"`{point}`: `cluster_id` {cluster:.2f}, `vector` {vector:.2f}, difference "
            f"{_shown(over[-1])}"
        )
    mark = "refuted" if any(value <= 0 for value, _, _ in over) else "open"
    return "confirmed" if all(low > 0 for _, low, _ in over) else mark, "; ".join(parts)


def _gradient(found: Map) -> tuple[Mark, str]:
    parts, holds = [], []
    for point, alignment in (("details-1", 1), ("details-0", 0)):
        means = {
            name: float(found.detail(point, "oracle", "vector", name).mean())
            for name in ("image_gradient", "ids_gradient", "image_half", "ids_half")
        }
        if np.isnan([*means.values()]).any():
            return "open", f"the world `{point}` is not complete"
        holds.append(means["image_gradient"] < means["ids_gradient"])
        holds.append(means["image_half"] > means["ids_half"])
        parts.append(
            "alignment {}: gradient at the end over that at the start {:.2f} (image) and {:.2f} "
            "(ids); half of the distance after {:.0%} and {:.0%} of the epoch".format(
                alignment, *means.values()
            )
        )
    return ("confirmed" if all(holds) else "refuted"), "; ".join(parts)


def _head(found: Map) -> tuple[Mark, str]:
    parts, ends = [], []
    for point, alignment in (("details-1", 1), ("details-0", 0)):
        for mode in ("vector", "sim_score", "cluster_id"):
            without, head = (found.detailed_gain(point, version, mode, "gauc") for version in HEADS)
            if np.isnan(without - head).any():
                return "open", f"the world `{point}` is not complete"
            ends.append(interval(without - head))
            value = float((without - head).mean())
            parts.append(f"`{mode}` {_shown((value, *ends[-1]))} at {alignment}")
    mark = "refuted" if any(high < 0 for _, high in ends) else "open"
    mark = "confirmed" if all(low > 0 for low, _ in ends) else mark
    return mark, f"pp lost with a head: {', '.join(parts)}"


def _h7(found: Map) -> tuple[Mark, str]:
    given, parts = [], []
    for alignment in (1, 0):
        shares: dict[str, list[float]] = {}
        for mode in ("sim_score", "vector", "cluster_id"):
            full = found.gains(f"main-300k-{alignment}", mode)
            noisy = [found.gains(f"vectors-{alignment}", mode, one) for one in NOISY]
            if full is None or noisy[0] is None or noisy[1] is None:
                return "open", f"the point `vectors-{alignment}` is not complete"
            shares[mode] = [float(one.mean() / full.mean()) for one in noisy if one is not None]
        sim, others = shares["sim_score"], [shares["vector"], shares["cluster_id"]]
        least = all(one < min(two) for one, *two in zip(sim, *others, strict=True))
        most = any(one > max(two) for one, *two in zip(sim, *others, strict=True))
        given.append("confirmed" if least else "refuted" if most else "open")
        shown = ", ".join(f"`{mode}` {a:.2f} and {b:.2f}" for mode, (a, b) in shares.items())
        parts.append(f"{shown} at {alignment} ({given[-1]})")
    return _of_marks(given), f"share kept with `{NOISY[0]}` and `{NOISY[1]}`: {'; '.join(parts)}"


def _h8(found: Map) -> tuple[Mark, str]:
    parts, given = [], []
    for alignment in (1, 0):
        for mode in ("sim_score", "cluster_id"):
            few, many = (found.gains(f"clicks-{n}-{alignment}", mode) for n in (5, 20))
            if few is None or many is None:
                return "open", f"`clicks-5-{alignment}` or `clicks-20-{alignment}` is not complete"
            grown = paired(float, many - few)
            parts.append(f"`{mode}` {_shown(grown)} at {alignment}")
            if mode == "sim_score":
                given.append(_at_least(0.5, grown))
    return _of_marks(given), f"from 5 to 20 clicks, pp: {', '.join(parts)}"


def _crossings(found: Map) -> tuple[Mark, str]:
    parts, refuted = [], False
    for size in JUDGED:
        if by_alignment := found.grid(size):
            for second, stated in STATED_CROSSINGS.items():
                at = crossing(by_alignment, "sim_score", second)
                refuted |= size == "60k" and (at is None or abs(at - stated) > TOLERANCE)
                text = crossing_text(by_alignment, "sim_score", second)
                parts.append(f"{size}: `sim_score` and `{second}` {text} (stated: {stated} at 60k)")
    return ("refuted" if refuted else "open"), "; ".join(parts)


def _order(found: Map) -> tuple[Mark, str]:
    parts, holds = [], []
    for size in SIZES:
        for level, gains in found.grid(size).items():
            means: Mapping[str, float] = {
                mode: float(gains[mode].mean()) for mode in ("cluster_id", "sim_score", "vector")
            }
            holds.append(means["cluster_id"] > means["sim_score"] > means["vector"])
            if holds[-1]:
                parts.append(f"{size} at {level:g}")
    where = ", ".join(parts) or "none"
    return _of(holds, all(found.grid(size) for size in JUDGED)), (
        f"`cluster_id` > `sim_score` > `vector` in {len(parts)} of {len(holds)} points: {where}"
    )


def _clusters(found: Map) -> tuple[Mark, str]:
    parts, grown = [], []
    for alignment in (1, 0):
        books = [found.gains(f"codes-{codes}-{alignment}", "cluster_id") for codes in ("0.5", "8")]
        if books[0] is None or books[1] is None:
            return "open", f"the points `codes-0.5-{alignment}`, `codes-8-{alignment}` lack rows"
        grown.append(paired(float, books[1] - books[0]))  # in the same worlds
        parts.append(f"{_shown(grown[-1])} pp at {alignment}")
    mark = "refuted" if any(high < 0 for _, _, high in grown) else "open"
    mark = "confirmed" if all(low > 0 for _, low, _ in grown) else mark
    return mark, f"8 instead of 0.5 codes per 100 items: {', '.join(parts)}"


def _screen(found: Map) -> tuple[Mark, str]:
    over_points, over_versions, parts = [], [], []
    for point in points():
        if point.name.startswith(("codes", "vectors")):  # other gains of worlds that are here
            continue
        pair = [found.gains(point.name, mode) for mode in ("sim_score", "cluster_id")]
        if pair[0] is not None and pair[1] is not None:
            over_points.append([pair[0].mean(), pair[1].mean()])
    for alignment in (1, 0):
        of_version = [
            [found.gains(point, mode, version) for mode in ("sim_score", "cluster_id")]
            for point, version in (
                (f"main-300k-{alignment}", "oracle"),
                *((f"vectors-{alignment}", one) for one in (*NOISY, CONTROL)),
            )
        ]
        means = [[one.mean() for one in pair if one is not None] for pair in of_version]
        if all(len(pair) == 2 for pair in means):
            over_versions.append(_rank(means))
            parts.append(f"{over_versions[-1]:.2f} over four versions at {alignment}")
    if len(over_points) > 4:
        parts.append(f"{_rank(over_points):.2f} over {len(over_points)} points")
    mark = "open"
    if len(over_versions) == 2:
        mark = "refuted" if min(over_versions) <= 0 else mark
        mark = "confirmed" if min(over_versions) >= LEAST_RANK else mark
    else:
        parts.append("the points `vectors` are not complete")
    return mark, f"rank correlation {', '.join(parts)}"


def _rank(pairs: list[list[float]]) -> float:
    found = float(stats.spearmanr(*np.array(pairs).T)[0])  # pyright: ignore[reportArgumentType]
    return round(found, 9)  # 0.8, which is judged, is 0.7999999999999999 before


def _of_marks(given: list[Mark]) -> Mark:
    """Return the mark of a claim about several cases."""
    if "refuted" in given:
        return "refuted"
    return "confirmed" if set(given) == {"confirmed"} else "open"


def _at_least(stated: float, grown: tuple[float, float, float]) -> Mark:
    """Return the mark of a growth of at least a stated size; open if the interval contains it."""
    value, low, high = grown
    if value >= stated and low > 0:
        return "confirmed"
    return "refuted" if high < stated else "open"


def _of(passed: list[bool], complete: bool) -> Mark:
    """Return the mark of a claim about every size."""
    if not passed:
        return "open"
    return "refuted" if not all(passed) else "confirmed" if complete else "open"
