"""The gain of every version against the date on which it was added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Place, Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._style import MUTED, SERIES, drawing, key, label, legend, settle, zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

PANEL, EDGE = 1.7, 0.8  # inches per mode, and for legend and axis
ACROSS = 5.4  # inches from the first date to the last
LETTER, LINE = 0.075, 0.15  # inches: width of a character, height of a line of text
LEADER = 0.25  # inches between the axes and the names
LONGEST = 18  # characters of a version's name
MOST_NAMED = int(ACROSS / LINE)  # maximum number of named versions
APART = 60  # number of marks that fit side by side


class History(Figure):
    """Axes below each other, one per mode, on common scales; version names are at the top."""

    title = "Versions over time"
    order = 35
    tall = True

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if fewer than two versions have a date and an interval."""
        if len(_dated(shown)) > 1:
            return ""
        return (
            "Fewer than two versions have an interval and a date. Only `ctrbench history` shows "
            "versions that were all added on one day."
        )

    def draw(self, shown: Shown) -> Drawing:
        """Return both deltas; a line follows the largest gain over the baseline so far."""
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

        versions = _dated(shown)
        dates = [float(date2num(shown.added[version])) for version in versions]
        span = dates[-1] - dates[0] or timedelta(hours=1) / timedelta(days=1)
        at = dict(zip(versions, spread(dates, span / APART), strict=True))
        columns = [c for c in shown.table.columns if _places(shown, c)]
        names = _names(shown, versions)
        upright = max(map(len, names.values())) * LETTER * len(names) > ACROSS
        top = (LETTER * max(map(len, names.values())) if upright else LINE) + LEADER
        figure = drawing(EDGE + top + PANEL * len(columns))
        above, *axes = figure.subplots(
            1 + len(columns), 1, sharex=True, height_ratios=[LEADER, *[PANEL] * len(columns)]
        )
        _name(above, at, names, span, upright)
        with_images = False
        for own, column in zip(axes, columns, strict=True):
            if own is not axes[0]:
                own.sharey(axes[0])
            own.set_title(label(column.label, 60), loc="left")
            with_images |= _panel(own, _places(shown, column), at, span)
        axes[-1].set_xlim(dates[0] - span / 15, max(dates[-1], *at.values()) + span / 15)
        locator = AutoDateLocator(minticks=3)
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes[-1].set_xlabel("added (UTC)")
        figure.supylabel(f"delta of {shown.metric}, pp (95 % interval)", fontsize=9)
        best = key(MUTED, "", "largest gain so far")
        best.set_linestyle("--")
        entries = [key(SERIES[0], "o", "over the baseline"), best]
        if with_images:
            entries.insert(1, key(SERIES[1], "s", "over the shuffled sibling"))
        legend(figure, entries)
        settle(figure)
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on the marks and the line."""
        text = (
            "Circles show the delta over the baseline, squares the delta over the shuffled "
            "sibling. The dashed line follows the largest estimate so far, which is not corrected "
            "for selection. Versions added at nearly the same time are moved apart."
        )
        if len(_dated(shown)) > MOST_NAMED:
            text += " Only versions that set a new largest gain, and the newest, are named."
        return text


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Return the positions moved as little as possible (least squares) to lie a gap apart.

    Args:
        positions: In ascending order.
        gap: >= 0.

    >>> spread([0, 0, 10], 2)
    [-1.0, 1.0, 10.0]
    """
    groups: list[tuple[float, int]] = []  # sum of the targets for the first position, and number
    for number, position in enumerate(positions):
        total, count = position - number * gap, 1
        while groups and groups[-1][0] / groups[-1][1] > total / count:
            before = groups.pop()
            total, count = total + before[0], count + before[1]
        groups.append((total, count))
    first = [total / count for total, count in groups for _ in range(count)]
    return [one + number * gap for number, one in enumerate(first)]


def _dated(shown: Shown) -> list[str]:
    """Return the versions with an interval and a date, the oldest first."""
    found = {one.row.version for one in shown.places if one.gain and one.row.control is None}
    return sorted(found & shown.added.keys(), key=lambda version: (shown.added[version], version))


def _places(shown: Shown, column: object) -> list[Place]:
    """Return the drawn versions of one mode, the oldest first."""
    own = {
        one.row.version: one
        for one in shown.places
        if one.column == column and one.gain and one.row.control is None
    }
    return [own[version] for version in _dated(shown) if version in own]


def _names(shown: Shown, versions: Sequence[str]) -> dict[str, str]:
    """The names that there is room for: all, or those of the best so far and the newest."""
    if len(versions) <= MOST_NAMED:
        return {version: label(version, LONGEST) for version in versions}
    kept = {versions[-1]}
    for column in shown.table.columns:
        kept |= {place.row.version for place in _records(_places(shown, column))}
    chosen = [version for version in versions if version in kept][-MOST_NAMED:]
    return {version: label(version, LONGEST) for version in chosen}


def _records(places: Sequence[Place]) -> list[Place]:
    """The places whose estimate is larger than that of all before."""
    found: list[Place] = []
    for place in places:
        if place.gain and (not found or place.gain.estimate > _estimate(found[-1])):
            found.append(place)
    return found


def _estimate(place: Place) -> float:
    assert place.gain is not None
    return place.gain.estimate


def _name(
    axes: Axes, at: dict[str, float], names: dict[str, str], span: float, upright: bool
) -> None:
    """Draw the names side by side, each with a line to its version."""
    room = LINE if upright else LETTER * (max(map(len, names.values())) + 1)
    places = spread([at[version] for version in names], room / ACROSS * span)
    shift = max(0.0, min(places[0] - min(at.values()) + span / 20, 0.0))
    for (version, name), x in zip(names.items(), places, strict=True):
        axes.plot([at[version], x - shift], [0, 1], color=MUTED, linewidth=0.6, clip_on=False)
        axes.annotate(
            name,
            (x - shift, 1),
            xytext=(0, 2),
            textcoords="offset points",
            rotation=90 if upright else 0,
            ha="center",
            va="bottom",
            fontsize=8,
            annotation_clip=False,
        )
    axes.set_axis_off()


def _panel(axes: Axes, places: Sequence[Place], at: dict[str, float], span: float) -> bool:
    """Draw one mode; return whether any version has a shuffled sibling."""
    with_images = False
    for place in places:
        x, gain = at[place.row.version], place.gain
        if gain is None:
            continue
        for number, image in enumerate(place.images, 1):
            _mark(axes, x + number * span / APART / 2, image, SERIES[1], "s")
            with_images = True
        _mark(axes, x, gain, SERIES[0], "o")
    best = _records(places)
    steps = [at[place.row.version] for place in best] + [at[places[-1].row.version]]
    heights = [100 * _estimate(place) for place in best]
    axes.step(
        steps, [*heights, heights[-1]], where="post", color=MUTED, linestyle="--", linewidth=1
    )
    zero(axes, upright=False)
    return with_images


def _mark(axes: Axes, x: float, gain: object, colour: str, mark: str) -> None:
    low, middle, high = (100 * getattr(gain, name) for name in ("low", "estimate", "high"))
    axes.plot([x, x], [low, high], color=colour, linewidth=1.2)
    axes.plot([x], [middle], mark, color=colour, markersize=4.5)
