"""`ctrbench init DATASET`, and the options of a run without a benchmark file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.terminal.output import echo
from ctrbench.workspace import Workspace

FileOfRun = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The benchmark file (YAML).")
]
DatasetOfRun = Annotated[
    str | None, typer.Option(help="Run without FILE: write DATASET.yaml, and run it.")
]
NamesOfRun = Annotated[
    str | None, typer.Option(metavar="A,B", help="Of --dataset: names, or all (the default).")
]
SeedsOfRun = Annotated[int | None, typer.Option(min=1, max=1000, help="How many; 5 unless said.")]


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(init)


def init(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="An imported data set.", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="Else DATASET.yaml.")] = None,
) -> None:
    """Write a commented benchmark file for DATASET and all its versions."""
    from ctrbench.starting_file import Choice, starting_file, write_new

    workspace: Workspace = context.obj
    text = starting_file(workspace, Choice(dataset))
    path = output or Path(f"{dataset}.yaml")
    write_new(path, text)
    echo(f"wrote {path}\nNext: ctrbench run {path}")
