"""`ctrbench advise`: predict the order of modes from a log and a version, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import JsonOption
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo, show


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(advise)


def advise(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="An imported data set.", autocompletion=completing.datasets)
    ],
    version: Annotated[
        str,
        typer.Option(
            help="A version of vectors; v7:text is one field.",
            autocompletion=completing.references,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write the matrix that tests the prediction.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Predict from the log of DATASET which mode gains most, without training.

    Measures traits on train and valid, and predicts gains with a fit on synthetic worlds whose
    gains were measured. States how often such predictions are right.
    """
    from ctrbench.terminal import advice as terminal

    found = ctrbench.advise(dataset, version, output=output, workspace=context.obj)
    show(found, json, terminal.show)
    if output is not None:
        echo(f"wrote {output}\nNext: ctrbench run {output}", err=json)
