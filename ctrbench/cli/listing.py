"""`ctrbench list`: the names that commands and benchmark files accept."""

from __future__ import annotations

import typer

import ctrbench
from ctrbench.cli._options import JsonOption
from ctrbench.terminal import catalogue as terminal
from ctrbench.terminal.output import show


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("list")(list_names)


def list_names(context: typer.Context, json: JsonOption = False) -> None:
    """List what a command or a benchmark file can name: modes, controls, data sets, and so on."""
    show(ctrbench.list_names(workspace=context.obj), json, terminal.show)
