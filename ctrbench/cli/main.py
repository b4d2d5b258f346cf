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
    datasets,
    drawing,
    embeddings,
    judging,
    listing,
    matrix,
    pretraining,
    reporting,
    screening,
)
from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.workspace import Workspace

USER_MISTAKE = 2  # exit code
CRASH = 70  # of sysexits.h, so that 1 is the gate's alone
INTERRUPTED = 130  # what typer makes of Ctrl-C
MEND = "check that it exists, is of the right kind and may be read and written."

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
reporting.register(app)
judging.register(app)
screening.register(app)
drawing.register(app)
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
    context.obj = Workspace(_home(chosen))


def _home(chosen: Path) -> Path:
    """The whole path of a folder that is there or can be made.

    Raises:
        ConfigError: something else stands there.
    """
    try:
        folder = chosen.expanduser().resolve()
    except RuntimeError as error:  # no such user, or links in a circle
        raise ConfigError(f"--home {chosen} leads nowhere: {error}; give a folder.") from error
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--home {chosen} is no folder; give one, or a name for a new one.")
    return folder


def main() -> None:
    """Run the command line; a user's mistake ends with its message and exit code 2."""
    try:
        app()
    except CtrBenchError as error:
        sys.stderr.write(f"ctrbench: {error}\n")
        sys.exit(USER_MISTAKE)
    except MemoryError as error:
        told = f" ({error})" if str(error) else ""
        sys.stderr.write(f"ctrbench: out of memory{told}; use smaller sizes or a larger machine.\n")
        sys.exit(USER_MISTAKE)
    except OSError as error:
        if error.filename is None:
            traceback.print_exc()
            sys.exit(CRASH)
        sys.stderr.write(f"ctrbench: {error.filename}: {error.strerror}; {MEND}\n")
        sys.exit(USER_MISTAKE)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("\nctrbench: stopped; what was stored stays, run again to go on.\n")
        raise
    except Exception:
        traceback.print_exc()
        sys.exit(CRASH)
