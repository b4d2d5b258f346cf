"""`ctrbench pretrain`: train an image encoder and register its vectors as a version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.cli._options import DatasetOption, DetailOption
from ctrbench.cli._processes import processes
from ctrbench.terminal import completing
from ctrbench.terminal import versions as terminal
from ctrbench.terminal.output import echo


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(pretrain)


def pretrain(
    context: typer.Context,
    method: Annotated[
        str,
        typer.Argument(
            help="The method, such as courier or simclr.", autocompletion=completing.methods
        ),
    ],
    dataset: DatasetOption,
    version: Annotated[str, typer.Option(help="The new version's name.", show_default=False)],
    images: Annotated[
        bool, typer.Option("--images", help="Train on the pixels of the pictures.")
    ] = False,
    from_version: Annotated[
        str | None,
        typer.Option(
            help="Train a layer on top of this version's vectors.",
            autocompletion=completing.references,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML with method:, training: and encoder:; lists span a grid."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting, such as training.epochs=5; overrides the file."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--save-weights",
            help="Write the trained encoder to this .safetensors file; another can start from it "
            "(encoder.weights).",
        ),
    ] = None,
    allow_collapsed: Annotated[
        bool,
        typer.Option(
            "--allow-collapsed", help="Register the version even if its vectors collapsed."
        ),
    ] = False,
    detail: DetailOption = None,
) -> None:
    """Train an encoder on the pretrain period, encode every item, register the version.

    If the command is interrupted, run it again: it resumes from the last checkpoint. Under torchrun
    every process computes its share of each batch.
    """
    from ctrbench.api.versions import pretrained

    with processes():
        for made in pretrained(
            method,
            version,
            dataset=dataset,
            images=images,
            from_version=from_version,
            changes=changes or (),
            config=config,
            weights=weights,
            allow_collapsed=allow_collapsed,
            progress=detail,
            workspace=context.obj,
            waiting=_waits,
        ):
            terminal.show_trained(made)
            if weights is not None:
                echo(
                    f"wrote {weights}"
                    if made.new
                    else f"{weights} was not written: the version exists. Remove it and run the "
                    "command again."
                )


def _waits() -> None:
    echo("another command trains the same version; waiting for it", err=True)
