"""`ctrbench codebook`: fit the codebooks of a version, describe and export them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.atomic import check_writable
from ctrbench.cli._options import DatasetOption, JsonOption, VersionArgument
from ctrbench.errors import ConfigError
from ctrbench.terminal.output import echo, show
from ctrbench.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(codebook)


def codebook(
    context: typer.Context,
    version: VersionArgument,
    dataset: DatasetOption,
    size: Annotated[str, typer.Option(help="Number of centres, or several: 50,200,1000.")] = "200",
    method: Annotated[
        str, typer.Option(help="kmeans, spherical, hierarchical (large sizes) or single_pass.")
    ] = "kmeans",
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Fit as often; how far do they agree?")
    ] = 1,
    against: Annotated[
        str | None, typer.Option(help="Another version: do its clusters hold the same items?")
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
    """Fit codebooks on the pretrain period's items and say what they do to the version.

    Of the seed's two claims about distances: the rank correlation of pairs' distances before and
    after is the global one, the ten nearest that share the code the local one.
    """
    from ctrbench.codebook_facts import Request, export, fit
    from ctrbench.terminal import codebooks as terminal

    workspace: Workspace = context.obj
    sizes = _sizes(size)
    if output is not None:
        check_writable(output / f"{version}-{sizes[0]}" / "codes.parquet")
    fitted = fit(workspace, Request(dataset, version, sizes, method, seeds, against, center))
    show(fitted.facts, json, terminal.show)
    if output is not None:
        for written in export(workspace, fitted, output):
            echo(f"wrote {written}", err=json)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part.replace("_", "")) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--size {text!r}: whole numbers with commas between them.") from error
    if len(set(sizes)) < len(sizes):
        raise ConfigError(f"--size {text!r}: a size stands there twice; name each once.")
    return sizes
