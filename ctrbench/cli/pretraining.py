"""`ctrbench pretrain`: train an image encoder and register what it makes of every image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ctrbench import impressions
from ctrbench.atomic import check_writable
from ctrbench.cli._options import DatasetOption, DetailOption
from ctrbench.errors import ConfigError
from ctrbench.executors import return_freed_memory
from ctrbench.terminal import completing, progress
from ctrbench.terminal import versions as terminal
from ctrbench.terminal.output import echo
from ctrbench.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(pretrain)


def pretrain(
    context: typer.Context,
    method: Annotated[
        str, typer.Argument(help="Such as courier, simclr.", autocompletion=completing.methods)
    ],
    dataset: DatasetOption,
    version: Annotated[str, typer.Option(help="The new version's name.", show_default=False)],
    images: Annotated[
        bool, typer.Option("--images", help="Train on the pictures' pixels.")
    ] = False,
    from_version: Annotated[
        str | None, typer.Option(help="Train a layer on top of this version's vectors.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML with method:, training:, encoder:; lists: a grid.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, such as training.epochs=5; wins over the file."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--save-weights",
            help="Write the trained encoder into this .safetensors, to start another from it "
            "(encoder.weights).",
        ),
    ] = None,
    allow_collapsed: Annotated[
        bool, typer.Option("--allow-collapsed", help="Register vectors that all look alike.")
    ] = False,
    detail: DetailOption = None,
) -> None:
    """Train an encoder on the pretrain period, encode every item, register the version.

    Killed, it goes on from its last checkpoint when it is called again. Under torchrun every
    process takes its share of each batch.
    """
    if images == (from_version is not None):
        raise ConfigError("say either --images or --from-version OLD.")
    from ctrbench.pretraining.configuring import require_free, sources, variants
    from ctrbench.pretraining.running import Job
    from ctrbench.pretraining.running import pretrain as run
    from ctrbench.pretraining.sources import Pixels

    workspace: Workspace = context.obj
    found = variants(method, version, config, changes or [], pixels=images)
    if weights is not None and len(found) > 1:
        raise ConfigError(f"--save-weights takes one version, and this grid makes {len(found)}.")
    if weights is not None and weights.suffix != ".safetensors":
        raise ConfigError(f"--save-weights {weights}: name a file that ends in .safetensors.")
    if weights is not None:
        check_writable(weights)
    log = impressions.open_impressions(workspace, dataset)
    return_freed_memory()
    with _processes():
        jobs = [Job(dataset, one.version, method, one.method, one.training) for one in found]
        opened = sources(workspace, log, from_version, found)
        if isinstance(opened[0], Pixels) and os.environ.get("RANK", "0") == "0":
            terminal.show_unusable(opened[0].pictures.unusable)
        planned = list(zip(jobs, opened, strict=True))
        require_free(workspace, log, planned)
        for job, source in planned:
            with progress.pretraining(job.version, detail) as told:
                made = run(workspace, job, source, told, allow_collapsed, weights, _waits)
            if made is not None:
                manifest, new = made
                terminal.show_pretrained(manifest, new)
                if weights is not None:
                    echo(
                        f"wrote {weights}"
                        if new
                        else f"{weights} was not written: weights are kept only when a version is "
                        "made; remove it and make it again."
                    )


def _waits() -> None:
    echo("another command is training by the same settings; waiting for it", err=True)


@contextmanager
def _processes() -> Iterator[None]:
    """Join the processes that torchrun started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    from ctrbench.distributed import FirstProcessError, process_group

    try:
        with process_group(int(os.environ.get("LOCAL_RANK", "0"))):
            yield
    except FirstProcessError as error:
        raise typer.Exit from error  # with 0: torchrun would end the first before it says why
