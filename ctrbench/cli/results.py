"""`ctrbench results`: verify stored results, merge workspaces, free space."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import FAILED, JsonOption
from ctrbench.terminal.output import show

app = typer.Typer(help="Verify, merge and tidy stored results.", no_args_is_help=True)


@app.command()
def verify(context: typer.Context, json: JsonOption = False) -> None:
    """Read every stored result and compare its checksums.

    Exit code 1: a file is damaged.
    """
    from ctrbench.terminal import upkeep as terminal

    found = ctrbench.verify_results(workspace=context.obj)
    show(found, json, terminal.show_verified)
    if found.problems:
        sys.exit(FAILED)


@app.command()
def merge(
    context: typer.Context,
    sources: Annotated[
        list[Path], typer.Argument(metavar="HOME...", help="Workspaces to copy results from.")
    ],
    json: JsonOption = False,
) -> None:
    """Copy the cells that only other workspaces have. Nothing stored is replaced.

    Exit code 1: a cell has other results there, or a file there is damaged.
    """
    from ctrbench.terminal import upkeep as terminal

    found = ctrbench.merge_results(sources, workspace=context.obj)
    show(found, json, terminal.show_merged)
    if found.conflicts or found.problems:
        sys.exit(FAILED)


@app.command()
def gc(
    context: typer.Context,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed.")] = False,
    json: JsonOption = False,
) -> None:
    """List what no result needs: files without a record, interrupted writes, unused caches."""
    from ctrbench.terminal import upkeep as terminal

    found = ctrbench.orphans(remove=remove, workspace=context.obj)
    show(found, json, terminal.show_removed if remove else terminal.show_removable)
