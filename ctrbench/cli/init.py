"""`ctrbench init DATASET`, and the options of a run without a benchmark file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo

FileOfRun = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The benchmark file (YAML).")
]
DatasetOfRun = Annotated[
    str | None, typer.Option(help="Run without FILE.", autocompletion=completing.datasets)
]
VersionsOfRun = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Default: all.", autocompletion=completing.versions),
]
ModesOfRun = Annotated[
    str | None, typer.Option(metavar="A,B", help="Default: all.", autocompletion=completing.modes)
]
SeedsOfRun = Annotated[int | None, typer.Option(min=1, max=1000, help="Default: 5.")]


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(init)


def init(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="An imported data set.", autocompletion=completing.datasets)
    ],
    output: Annotated[Path | None, typer.Option(help="Default: DATASET.yaml.")] = None,
) -> None:
    """Write a commented benchmark file for DATASET and all its versions."""
    path = ctrbench.init(dataset, output, workspace=context.obj)
    echo(f"wrote {path}\nNext: ctrbench run {path}")
