"""`ctrbench pretrain`: train an image encoder and register what it makes of every image."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ctrbench import embeddings, impressions
from ctrbench.atomic import check_writable
from ctrbench.cli.embeddings import repetition
from ctrbench.errors import ConfigError
from ctrbench.executors import return_freed_memory
from ctrbench.schema import Impressions
from ctrbench.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(pretrain)


def pretrain(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="Such as courier, simclr.", show_default=False)],
    dataset: Annotated[str, typer.Option(help="An imported data set.", show_default=False)],
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
) -> None:
    """Train an encoder on the pretrain period, encode every item, register the version.

    Killed, it goes on from its last checkpoint when it is called again. Under torchrun every
    process takes its share of each batch.
    """
    if images == (from_version is not None):
        raise ConfigError("say either --images or --from-version OLD.")
    from ctrbench.pretraining.configuring import require_free, variants
    from ctrbench.pretraining.running import Job
    from ctrbench.pretraining.running import pretrain as run

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
        planned = list(zip(jobs, _sources(workspace, log, from_version, found), strict=True))
        require_free(workspace, log, planned)
        for job, source in planned:
            with _told(job.version) as told:
                made = run(workspace, job, source, told, allow_collapsed, weights, _waits)
            if made is not None:
                manifest, new = made
                facts = manifest.provenance
                what = "added" if new else "already there, made by the same settings:"
                typer.echo(
                    f"{what} {manifest.name} of {dataset}: {manifest.items_with_vector:,} vectors "
                    f"of width {manifest.width}, {facts['effective_rank']:.0f} dimensions in use; "
                    f"trained {facts['seconds']:,.0f} s on {facts['fit_items']:,} items of the "
                    f"{facts['fit_period']} period"
                )
                for each in repetition(manifest):
                    typer.echo(f"targets: {each}")
                if "collapsed" in facts:
                    typer.echo(f"{manifest.name} collapsed: {facts['collapsed']}")
                if weights is not None:
                    typer.echo(
                        f"wrote {weights}"
                        if new
                        else f"{weights} was not written: weights are kept only when a version is "
                        "made; remove it and make it again."
                    )


def _waits() -> None:
    typer.echo("another command is training by the same settings; waiting for it", err=True)


def _sources(
    workspace: Workspace, log: Impressions, from_version: str | None, found: tuple[Any, ...]
) -> list[Any]:
    """Of each variant the pictures, or a version's vectors."""
    from ctrbench.pretraining.pictures import open_pictures
    from ctrbench.pretraining.sources import FrozenVectors, Pixels

    fitting = impressions.items_in_period(log, log.fitting_period)
    if from_version is None:
        pictures = open_pictures(workspace, log.manifest)
        if pictures.unusable and os.environ.get("RANK", "0") == "0":
            listed = list(pictures.unusable.items())[:5]
            told = "; ".join(f"{name}: {problem}" for name, problem in listed)
            more = ", …" if len(pictures.unusable) > len(listed) else ""
            typer.echo(f"{len(pictures.unusable)} images left out ({told}{more})", err=True)
        return [Pixels(pictures, one.encoder, one.encoder_name, fitting) for one in found]
    if found[0].method.augmented:
        raise ConfigError(
            "this method looks at random views of pictures, and vectors have none: use --images."
        )
    table = embeddings.open_version(workspace, log.manifest.name, from_version)
    manifest = embeddings.read_manifest(workspace, log.manifest.name, from_version)
    return [FrozenVectors(table, from_version, manifest.content_hash, fitting)] * len(found)


@contextmanager
def _processes() -> Iterator[None]:
    """Join the processes that torchrun started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    from datetime import timedelta

    import torch
    import torch.distributed as dist
    import torch.distributed.nn  # loaded later, its defaults would hold the group past its end

    from ctrbench.distributed import FirstProcessError

    timeout = timedelta(days=7)  # all wait while the first encodes every item
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # what `device: cuda` then means
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=timeout)
    else:
        dist.init_process_group("gloo", timeout=timeout)
    try:
        yield
    except FirstProcessError as error:
        raise typer.Exit from error  # with 0: torchrun would end the first before it says why
    finally:
        dist.destroy_process_group()


@contextmanager
def _told(version: str) -> Iterator[Any]:
    """A bar with the time left on a terminal, a line every tenth of the work elsewhere."""
    if not sys.stderr.isatty():
        last = [-1]

        def line(done: int, total: int, loss: float) -> None:
            tenth = 10 * done // total
            if tenth > last[0]:
                last[0] = tenth
                typer.echo(f"{version}: step {done:,} of {total:,}, loss {loss:.4f}", err=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(version, total=None, loss=float("nan"))
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)
