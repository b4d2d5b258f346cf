"""`ctrbench list`: what there is to put into a benchmark file."""

from __future__ import annotations

import typer

from ctrbench import embeddings, impressions, plugins
from ctrbench.models import backbone_names
from ctrbench.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("list")(show)


def show(context: typer.Context) -> None:
    """List what a benchmark file can name: modes, backbones, data sets, versions, and so on."""
    workspace: Workspace = context.obj
    modes = [name for name in plugins.names("ctrbench.injection") if name != "none"]
    _line("modes", modes, "none (the baseline) is added by itself")
    _line("backbones", backbone_names())
    _line("importers", plugins.names("ctrbench.datasets"))
    _line("pre-training methods", plugins.names("ctrbench.pretraining.methods"))
    _line("image encoders", plugins.names("ctrbench.pretraining.encoders"))
    _line("table formats", plugins.names("ctrbench.reports"))
    datasets = impressions.names(workspace)
    _line("data sets", datasets)
    for dataset in datasets:
        _line(f"versions of {dataset}", embeddings.names(workspace, dataset))


def _line(what: str, names: list[str], note: str = "") -> None:
    typer.echo(f"{what}: {', '.join(names) or 'none yet'}{f'  ({note})' if note else ''}")
