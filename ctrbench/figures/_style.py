"""The common style: colours that stay apart for colour-blind people, marks that do in grey."""

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
SCALE = (  # from a loss to a gain; the middle is no difference
    "#e79a76",
    "#f2bb9f",
    "#f9dccd",
    "#f3f3f2",
    "#cfe1f0",
    "#a3c8e5",
    "#72abd8",
)
VARIABLES = {  # colours that a page replaces, so that light, dark and print each have their own
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
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of the writing's direction
LONGEST = 34  # letters of a label
LABEL_GAP = 0.015  # of a figure's width, between the common label and tick labels
LETTERS = 92  # across a figure


def without_controls(text: str) -> str:
    r"""Return a text whose control characters, and those that turn its direction, are boxes.

    >>> without_controls("a\x1b[31m\nb")
    'a�[31m�b'
    """
    return "".join(
        "�" if unicodedata.category(one) in ("Cc", "Cs", "Cn") or one in TURNING else one
        for one in text
    )


def label(text: str, longest: int = LONGEST) -> str:
    """Return a name that fits beside an axis: on one line, its middle left out if it is long.

    >>> label("a" * 30 + "b" * 30, 11)
    'aaaaa…bbbbb'
    """
    plain = without_controls(text)
    if len(plain) <= longest:
        return plain
    kept = (longest - 1) // 2
    return f"{plain[:kept]}…{plain[-kept:]}"


def arm(row: Row, column: Column, longest: int = LONGEST) -> str:
    """Return the name of an arm that fits beside an axis; both its parts stay readable."""
    mode = label(column.label, longest - 12)
    return f"{label(row.label, longest - len(mode) - 3)} / {mode}"


def drawing(height: float, width: float = WIDTH) -> Drawing:
    """Return an empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def settle(figure: Drawing) -> None:
    """Fix the layout at rounded positions; the solver's last digits vary from call to call.

    Axes keep a distance from the common label, because a browser's fonts can be wider.
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
    """Draw differences in percentage points and their intervals, lying.

    Args:
        axes: The axes, whose x is the difference.
        gains: The heights of the lines, and the differences as fractions.
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
    """Return an entry of a legend."""
    from matplotlib.lines import Line2D

    face = colour if filled else PAPER
    return Line2D([], [], color=colour, marker=mark, markersize=5, markerfacecolor=face, label=text)


def zero(axes: Axes, upright: bool = True) -> None:
    """Mark where there is no difference."""
    draw = axes.axvline if upright else axes.axhline
    draw(0, color=TEXT, linewidth=1, zorder=1.5)


def legend(figure: Drawing, entries: Sequence[Any]) -> None:
    """Put the legend above the axes, in as many columns as its names allow."""
    longest = max(len(entry.get_label()) for entry in entries)
    columns = max(1, min(len(entries), LETTERS // (longest + 7)))
    figure.legend(handles=list(entries), loc="outside upper left", ncols=columns)


def rows_and_columns(count: int, most: int = 3) -> tuple[int, int]:
    """Return how small axes are laid out.

    >>> rows_and_columns(5)
    (2, 3)
    """
    columns = min(count, most)
    return math.ceil(count / columns), columns
