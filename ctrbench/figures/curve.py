"""Learning curves: progressive AUC of each arm minus that of its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._style import (
    DASHES,
    LINE,
    SERIES,
    drawing,
    key,
    label,
    legend,
    rows_and_columns,
    zero,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

HEIGHT = 2.1  # inches per mode
MOST = len(SERIES)  # maximum number of coloured versions


class Curve(Figure):
    """Small axes, one per mode, with one line per version."""

    title = "Learning curves"
    order = 40

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if no learning curve is stored."""
        return "" if shown.learning else "No learning curve is stored with these cells."

    def draw(self, shown: Shown) -> Drawing:
        """Return all modes on one scale; of more than six versions, the best six have colours."""
        columns = list(dict.fromkeys(one.column for one in shown.learning))
        rows = _coloured(shown)
        down, across = rows_and_columns(len(columns), 2)
        figure = drawing(0.7 + down * HEIGHT)
        axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for own, column in zip(axes, columns, strict=False):
            for one in shown.learning:
                if one.column != column:
                    continue
                seen = [count / 1000 for count in one.impressions]
                if one.row in rows:
                    number = rows.index(one.row)
                    style = {"color": SERIES[number], "linestyle": DASHES[number], "linewidth": 1.5}
                else:
                    style = {"color": LINE, "linewidth": 0.8, "zorder": 1.2}
                own.plot(seen, one.auc_pp, **style)  # pyright: ignore[reportArgumentType]
            zero(own, upright=False)
            own.set_title(label(column.label, 44), loc="left")
            own.tick_params(labelbottom=True, labelleft=True)
        for spare in axes[len(columns) :]:
            spare.set_visible(False)
        low, high = _range(shown)
        axes[0].set_ylim(low, high)
        figure.supxlabel("training impressions, thousands", fontsize=9)
        figure.supylabel("progressive AUC over the baseline, pp", fontsize=9)
        entries = []
        for number, row in enumerate(rows):
            entry = key(SERIES[number], "", label(row.label, 24))
            entry.set_linestyle(DASHES[number])
            entries.append(entry)
        if len(rows) < len({one.row for one in shown.learning}):
            entries.append(key(LINE, "", "all others"))
        legend(figure, entries)
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on how AUC is measured."""
        return (
            "Progressive AUC minus that of the baseline of the same seed, mean over seeds. Every "
            "impression is predicted before the model is trained on it. The curves have no "
            "intervals: differences between them may be noise. Their first fifth may be outside "
            "the axes."
        )


def _range(shown: Shown) -> tuple[float, float]:
    """Return the limits of the y axis: those of all curves without their first fifth."""
    kept = [auc for one in shown.learning for auc in one.auc_pp[len(one.auc_pp) // 5 :]]
    low, high = min(kept, default=0.0), max(kept, default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    edge = 0.06 * (high - low) or 0.1
    return low - edge, high + edge


def _coloured(shown: Shown) -> list:
    """Return the rows with a colour: at most `MOST`, those with the highest last points."""
    rows = list(dict.fromkeys(one.row for one in shown.learning))
    if len(rows) <= MOST:
        return rows
    best = {row: max(o.auc_pp[-1] for o in shown.learning if o.row == row) for row in rows}
    chosen = sorted(rows, key=lambda row: -best[row])[:MOST]
    return [row for row in rows if row in chosen]
