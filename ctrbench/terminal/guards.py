"""The guards of a data set or a version on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from ctrbench.schema import Guard
from ctrbench.terminal._tables import console, table

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def show(guards: Sequence[Guard]) -> None:
    """Print a row per guard, its outcome first."""
    made = table(("", "", ""), (), ())
    for guard in guards:
        outcome = Text(guard.outcome, COLOURS[guard.outcome])
        made.add_row(outcome, Text(guard.name), Text(guard.message))
    console().print(made)
