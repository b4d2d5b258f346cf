"""The root command: opens the workspace, and prints errors of users without a traceback."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from ctrbench import __version__
from ctrbench.cli import (
    advising,
    codebooks,
    datasets,
    drawing,
    embeddings,
    init,
    judging,
    listing,
    matrix,
    pretraining,
    reporting,
    results,
    screening,
    serving,
)
from ctrbench.errors import message
from ctrbench.printable import printable
from ctrbench.terminal import starting
from ctrbench.workspace import workspace_at

USER_MISTAKE = 2  # exit code
CRASH = 70  # EX_SOFTWARE of sysexits.h; 1 is reserved for gates
INTERRUPTED = 130  # exit code of typer after Ctrl-C

app = typer.Typer(
    name="ctrbench",
    help="Benchmark image embeddings and injection modes for CTR models.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets.app, name="datasets")
app.add_typer(embeddings.app, name="embeddings")
app.add_typer(results.app, name="results")
for part in (
    *(init, advising, matrix, pretraining, codebooks, reporting),
    *(judging, screening, drawing, serving, listing),
):
    part.register(app)


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
            envvar="CTRBENCH_HOME",
            help="Folder of data/, embeddings/, cache/ and results/. Default: the current folder.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Benchmark image embeddings and injection modes for CTR models."""
    del version
    context.obj = workspace_at(home or Path())
    if context.invoked_subcommand is None:
        source = context.get_parameter_source("home")  # of the click that typer contains or imports
        given = source is not None and source.name == "COMMANDLINE"
        program = f"ctrbench --home {shlex.quote(str(home))}" if given else "ctrbench"
        starting.show(context.obj, program)


def main() -> None:
    """Run the command line. An error of the user ends with its message and exit code 2."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write(
                "\nctrbench: stopped. Finished cells are stored; run the command again to resume.\n"
            )
        raise
    except Exception as error:
        text = message(error)
        if text is None:
            traceback.print_exc()
            sys.exit(CRASH)
        sys.stderr.write(f"ctrbench: {printable(text)}\n")
        sys.exit(USER_MISTAKE)
