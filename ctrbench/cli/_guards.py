"""How the guards of a data set or a version are told to a person."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.text import Text

from ctrbench.cli._dataset_views import console, table
from ctrbench.schema import Guard

CHECK_FAILED = 1  # exit code
COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def show(guards: Sequence[Guard]) -> None:
    """Print a row per guard, its outcome first; ends the command if one is an error.

    Raises:
        typer.Exit: with exit code 1.
    """
    made = table(("", "", ""), (), ())
    for guard in guards:
        outcome = Text(guard.outcome, COLOURS[guard.outcome])
        made.add_row(outcome, Text(guard.name), Text(guard.message))
    console().print(made)
    if any(guard.outcome == "error" for guard in guards):
        raise typer.Exit(CHECK_FAILED)
