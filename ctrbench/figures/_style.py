"""The common style: colours for colour-blind readers, and marks that differ in greyscale."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from ctrbench.plan import Column, Row
    from ctrbench.stats import Inference

TEXT, MUTED, LINE, PAPER = "#1b1c1d", "#5a5f66", "#c9cdd2", "#fffffe"
SERIES = ("#0b62a4", "#b93e0b", "#00735a", "#9a3a7d", "#866000", "#4d5e70")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
SCALE = (  # from a loss to a gain; the middle colour is no difference
    "#e79a76",
    "#f2bb9f",
    "#f9dccd",
    "#f3f3f2",
    "#cfe1f0",
    "#a3c8e5",
    "#72abd8",
)
VARIABLES = {  # colour -> CSS variable, which light, dark and print styles define
    TEXT: "var(--text)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)},
    **{colour: f"var(--scale-{number})" for number, colour in enumerate(SCALE)},
}
RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ctrbench",
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "path.sketch": None,
}
WIDTH = 6.4  # inches of every figure
DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # characters of text direction
LONGEST = 34  # characters of a label
LABEL_GAP = 0.015  # of a figure's width, between the common label and tick labels
LETTERS = 92  # characters across a figure


def without_controls(text: str) -> str:
    r"""Return a text in which U+FFFD replaces control and direction characters.

    >>> without_controls("a\x1b[31m\nb")
    'a�[31m�b'
    """
    return "".join(
        "�" if unicodedata.category(one) in ("Cc", "Cs", "Cn") or one in DIRECTION else one
        for one in text
    )


def label(text: str, longest: int = LONGEST) -> str:
    """Return a name on one line; an ellipsis replaces the middle of a long name.

    Args:
        text: The name.
        longest: Maximum number of characters, at least 3.

    >>> label("a" * 30 + "b" * 30, 11)
    'aaaaa…bbbbb'
    """
    plain = without_controls(text)
    if len(plain) <= longest:
        return plain
    kept = (longest - 1) // 2
    return f"{plain[:kept]}…{plain[-kept:]}"


def arm(row: Row, column: Column, longest: int = LONGEST) -> str:
    """Return the display name of an arm; version and mode are both shortened if necessary.

    Args:
        row: The row of the arm.
        column: The column of the arm.
        longest: Maximum number of characters, at least 20.
    """
    mode = label(column.label, longest - 12)
    return f"{label(row.label, longest - len(mode) - 3)} / {mode}"


def drawing(height: float, width: float = WIDTH) -> Drawing:
    """Return an empty figure.

    Args:
        height: In inches.
        width: In inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def settle(figure: Drawing) -> None:
    """Fix the layout at rounded positions, because the last digits of the solver vary.

    Axes keep a distance from the common label, because fonts of a browser can be wider.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(one, 5) for one in axes.get_position().bounds)
        axes.set_position((left + LABEL_GAP, bottom, width - LABEL_GAP, height))


def bars(
    axes: Axes,
    gains: Sequence[tuple[float, Inference]],
    colour: str,
    mark: str,
    filled: bool = True,
) -> None:
    """Draw differences and their intervals as horizontal lines, in percentage points.

    Args:
        axes: The axes; x is the difference.
        gains: The y position of each line, and the difference as a fraction.
        colour: The colour of the marks and the intervals.
        mark: The mark of the estimates.
        filled: Whether the marks are filled.
    """
    if not gains:
        return
    heights = [at for at, _ in gains]
    low, middle, high = (
        [100 * getattr(gain, name) for _, gain in gains] for name in ("low", "estimate", "high")
    )
    axes.hlines(heights, low, high, colors=colour, linewidths=1.4)
    face = colour if filled else PAPER
    axes.plot(middle, heights, mark, color=colour, markersize=5, markerfacecolor=face)


def key(colour: str, mark: str, text: str, filled: bool = True) -> Any:
    """Return an entry of a legend.

    Args:
        colour: The colour of line and mark.
        mark: The mark; empty: a line only.
        text: The label.
        filled: Whether the mark is filled.
    """
    from matplotlib.lines import Line2D

    face = colour if filled else PAPER
    return Line2D([], [], color=colour, marker=mark, markersize=5, markerfacecolor=face, label=text)


def zero(axes: Axes, upright: bool = True) -> None:
    """Draw the line of no difference.

    Args:
        axes: The axes.
        upright: Whether the difference is on the x axis.
    """
    draw = axes.axvline if upright else axes.axhline
    draw(0, color=TEXT, linewidth=1, zorder=1.5)


def legend(figure: Drawing, entries: Sequence[Any]) -> None:
    """Add a legend above the axes, in as many columns as fit.

    Args:
        figure: The figure.
        entries: At least one entry, see `key`.
    """
    longest = max(len(entry.get_label()) for entry in entries)
    columns = max(1, min(len(entries), LETTERS // (longest + 7)))
    figure.legend(handles=list(entries), loc="outside upper left", ncols=columns)


def rows_and_columns(count: int, most: int = 3) -> tuple[int, int]:
    """Return the numbers of rows and columns of a grid of axes.

    Args:
        count: Number of axes, at least 1.
        most: Maximum number of columns.

    >>> rows_and_columns(5)
    (2, 3)
    """
    columns = min(count, most)
    return math.ceil(count / columns), columns
