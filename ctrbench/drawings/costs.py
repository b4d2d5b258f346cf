"""The gain of every arm against one of its costs."""

from __future__ import annotations

from pathlib import Path

from ctrbench.drawings._base import new_figure, save
from ctrbench.errors import ConfigError
from ctrbench.metrics import find
from ctrbench.runner.costs import ArmCost, Costs

MARKS = "os^Dv*PX<>"  # of versions
AXES = {
    "latency": "ms for a request of 1,024 impressions, median",
    "bytes": "bytes moved for an impression with a full history",
    "training": "seconds of training a cell",
}


def require_axis(against: str) -> None:
    """Refuse an axis that does not exist.

    Raises:
        ConfigError: no such axis.
    """
    if against not in AXES:
        raise ConfigError(f"--against {against!r}: one of {', '.join(AXES)}.")


def draw(found: Costs, against: str, output: Path) -> None:
    """Draw gains with their intervals; a line joins the arms that no other arm dominates.

    A colour for each mode, a mark for each version.

    Args:
        found: of a matrix.
        against: the axis of costs, a key of `AXES`.
        output: a .png, .svg or .pdf.

    Raises:
        ConfigError: no gain is stored.
        StoreError: the file cannot be written.
    """
    shown = [
        (arm.comparison, x, arm.gain)
        for arm in found.arms
        if arm.comparison is not None
        and arm.gain is not None
        and (x := _position(arm, against)) is not None
    ]
    if not shown:
        raise ConfigError("no gain is stored yet: `ctrbench run` the file first.")
    figure = new_figure(10, 5)
    axes = figure.add_subplot()
    versions = list(dict.fromkeys(one.row for one, *_ in shown))
    modes = list(dict.fromkeys(one.column for one, *_ in shown))
    for one, x, gain in shown:
        limits = [[100 * (gain.estimate - gain.low)], [100 * (gain.high - gain.estimate)]]
        axes.errorbar(
            x,
            100 * gain.estimate,
            yerr=limits,
            fmt=MARKS[versions.index(one.row) % len(MARKS)],
            color=f"C{modes.index(one.column)}",
            capsize=2,
            label=one.label,
        )
    front = _front([(x, gain.estimate) for _, x, gain in shown])
    ends = [x for x, _ in front], [100 * y for _, y in front]
    axes.plot(*ends, color="0.6", zorder=0, label="no other beats")
    axes.axhline(0, color="0.8", linewidth=1)
    axes.set_xlabel(AXES[against])
    axes.set_ylabel(f"{find(found.headline).title} over the baseline, pp, 95 % interval")
    figure.legend(loc="outside right upper", fontsize=8)
    save(figure, output)


def _position(arm: ArmCost, against: str) -> float | None:
    if against == "training":
        return arm.train_s
    latency_ms = 1000 * arm.cost.latency[1024].median_s
    return latency_ms if against == "latency" else float(arm.cost.request_bytes)


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other dominates: none is both cheaper or as cheap, and better.

    >>> _front([(1, 0.2), (2, 0.1), (3, 0.3)])
    [(1, 0.2), (3, 0.3)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front
