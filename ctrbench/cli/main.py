"""The root command: finds the workspace, prints users' mistakes without a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from ctrbench import __version__
from ctrbench.cli import (
    codebooks,
    costs,
    curves,
    datasets,
    embeddings,
    explaining,
    judging,
    listing,
    matrix,
    pretraining,
    screening,
)
from ctrbench.errors import CtrBenchError
from ctrbench.workspace import Workspace

USER_MISTAKE = 2  # exit code
CRASH = 70  # of sysexits.h, so that 1 is the gate's alone
INTERRUPTED = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="ctrbench",
    help="Is a new image embedding worth shipping to a CTR model, and how should it be fed in?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets.app, name="datasets")
app.add_typer(embeddings.app, name="embeddings")
matrix.register(app)
pretraining.register(app)
codebooks.register(app)
judging.register(app)
screening.register(app)
costs.register(app)
curves.register(app)
explaining.register(app)
listing.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctrbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="Folder for data/, embeddings/, cache/ and results/; else CTRBENCH_HOME, "
            "else the current folder."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Is a new image embedding worth shipping to a CTR model, and how should it be fed in?"""
    del version
    chosen = home or Path(os.environ.get("CTRBENCH_HOME") or ".")
    context.obj = Workspace(chosen.expanduser().resolve())


def main() -> None:
    """Run the command line; a user's mistake ends with its message and exit code 2."""
    try:
        app()
    except CtrBenchError as error:
        sys.stderr.write(f"ctrbench: {error}\n")
        sys.exit(USER_MISTAKE)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("\nctrbench: stopped; what was stored stays, run again to go on.\n")
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(CRASH)
