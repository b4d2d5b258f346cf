"""The delta over the baseline on every slice of the test period."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from ctrbench.analysis.blocks import Block
from ctrbench.analysis.shown import Shown
from ctrbench.figures._base import Figure
from ctrbench.figures._style import (
    SERIES,
    arm,
    bars,
    drawing,
    label,
    rows_and_columns,
    zero,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

LINE, EDGE = 0.22, 0.85  # inches per arm, and for title and axis


class Slices(Figure):
    """Small axes with one line per arm: the whole test period first, then one per slice."""

    title = "Slices of the test period"
    order = 30
    tall = True

    def lacks(self, shown: Shown) -> str:
        """Return a sentence if the file names no slice, or no slice has an interval."""
        if not any(block.slice for block in shown.table.blocks):
            return "The benchmark file names no slices."
        return "" if len(_blocks(shown)) > 1 else "No slice has an interval."

    def draw(self, shown: Shown) -> Drawing:
        """Return one pair of axes per slice, each on its own scale."""
        blocks = _blocks(shown)
        lines = [line for line in blocks[0].lines if line.candidate]
        names = [
            arm(line.row, column, 28)
            for line in lines
            if line.row is not None
            for column in shown.table.columns
        ]
        down, across = rows_and_columns(len(blocks), 3 if max(map(len, names)) < 22 else 2)
        figure = drawing(down * (EDGE + LINE * len(names)) + 0.2)
        axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for own, block in zip(axes, blocks, strict=False):
            entries = [entry for line in block.lines if line.candidate for entry in line.entries]
            gains = [(at, entry.inference) for at, entry in enumerate(entries) if entry.inference]
            bars(own, gains, SERIES[0], "o")
            zero(own)
            title = shown.slices.get(block.slice, block.slice) or "whole test period"
            own.set_title(_wrapped(title), loc="left")
            own.grid(axis="y", visible=False)
            own.tick_params(axis="y", length=0)
        for spare in axes[len(blocks) :]:
            spare.set_visible(False)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(
            f"delta of {shown.metric} over the baseline, pp (95 % interval)", fontsize=9
        )
        return figure

    def caption(self, shown: Shown) -> str:
        """Return sentences on scales and intervals."""
        return (
            "Delta over the baseline on each slice, each on its own scale. Intervals of slices are "
            "pointwise and exploratory."
        )


def _wrapped(title: str) -> str:
    """Return a title on at most two lines."""
    return "\n".join(wrap(label(title, 44), 23)[:2])


def _blocks(shown: Shown) -> list[Block]:
    """Return the headline blocks against the baseline, on the test period and on slices."""
    metric = shown.table.blocks[0].metric
    return [
        block
        for block in shown.table.blocks
        if block.metric == metric
        and block.comparison == "baseline"
        and any(entry.inference for line in block.lines if line.candidate for entry in line.entries)
    ]
