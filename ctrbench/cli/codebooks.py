"""`ctrbench codebook`: fit the codebooks of a version, describe and export them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import DatasetOption, JsonOption, ReferenceArgument
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo, show


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(codebook)


def codebook(
    context: typer.Context,
    version: ReferenceArgument,
    dataset: DatasetOption,
    size: Annotated[str, typer.Option(help="Number of centres, or a list: 50,200,1000.")] = "200",
    method: Annotated[
        str, typer.Option(help="kmeans, spherical, hierarchical (large sizes) or single_pass.")
    ] = "kmeans",
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Number of fits; shows how well they agree.")
    ] = 1,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another version; shows how well its clusters agree.",
            autocompletion=completing.references,
        ),
    ] = None,
    center: Annotated[
        bool, typer.Option("--center", help="Subtract the mean vector before normalising.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for codes.parquet, centres.npy and a sheet, one per size."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fit codebooks on the items of the pretrain period and describe them.

    Reports the rank correlation between the distances of item pairs before and after (global
    structure), and the share of the ten nearest items that have the same code (local structure).
    """
    from ctrbench.codebook_facts import sizes_of
    from ctrbench.terminal import codebooks as terminal

    found = ctrbench.codebook(
        version,
        sizes_of(size),
        dataset=dataset,
        method=method,
        seeds=seeds,
        against=against,
        center=center,
        output=output,
        workspace=context.obj,
    )
    show(found.facts, json, terminal.show)
    for written in found.files:
        echo(f"wrote {written}", err=json)
