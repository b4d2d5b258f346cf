"""Versions by modes: the delta over the baseline as a number and a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure, lacks_intervals
from ctrbench.figures._style import LINE, MUTED, PAPER, SCALE, TEXT, drawing, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.stats import Inference

CELL = 0.3  # inches, height of one version
EDGE = 0.9  # inches for the labels above
WIDEST = 16  # characters of a mode's name on one line


class Heatmap(Figure):
    """One cell per version and mode; only intervals that exclude zero have a colour."""

    title = "Versions by modes"
    order = 20
    tall = True

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no arm has an interval."""
        return lacks_intervals(shown)

    def draw(self, shown: Shown) -> Drawing:
        """Return a grid with rows in the order of the table."""
        from matplotlib.patches import Rectangle

        rows = list(dict.fromkeys(place.row for place in shown.places))
        columns = shown.table.columns
        figure = drawing(EDGE + CELL * len(rows))
        axes = figure.add_subplot()
        decided = [one.gain for one in shown.places if one.gain is not None and _decided(one.gain)]
        largest = max((abs(gain.estimate) for gain in decided), default=1.0)
        for place in shown.places:
            x, y = columns.index(place.column), rows.index(place.row)
            gain = place.gain
            colour = PAPER if gain is None else SCALE[len(SCALE) // 2]
            if gain is not None and _decided(gain):
                colour = _colour(gain.estimate / largest)
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor=LINE))
            if gain is None:
                text = "failed" if place.status == "failed" else "–"
            else:
                text = f"{100 * gain.estimate:+.2f}{' ●' if _decided(gain) else ''}"
            color = MUTED if gain is None else TEXT
            axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=color, fontsize=8.5)
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.grid(visible=False)
        names = ["\n".join(_lines(column.label)) for column in columns]
        turned = {"rotation": 45, "ha": "left"} if len(columns) > 6 else {}
        axes.set_xticks([x + 0.5 for x in range(len(columns))], names, **turned)
        axes.set_yticks([y + 0.5 for y in range(len(rows))], [label(one.label) for one in rows])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on numbers, dots and colours."""
        return (
            f"Delta of {shown.metric} over the baseline in percentage points. A dot and a colour "
            "mark intervals that exclude zero. A dash marks arms without an interval."
        )


def _decided(gain: Inference) -> bool:
    """Whether the interval accounts for seed variance and excludes zero."""
    return bool(gain.variance.seed_degrees) and not gain.low <= 0 <= gain.high


def _colour(share: float) -> str:
    """Return the colour of a difference, given as a share of the largest."""
    half = len(SCALE) // 2
    return SCALE[half + round(share * half)]


def _lines(name: str) -> list[str]:
    """Return the mode and at most three settings, one per line.

    >>> _lines("cluster_id codebook_size=200")
    ['cluster_id', 'codebook_size=200']
    """
    return [label(part, WIDEST + 6) for part in name.split(" ")][:4]
