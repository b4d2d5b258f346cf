"""`ctrbench list`: what there is to put into a benchmark file."""

from __future__ import annotations

import typer

from ctrbench import embeddings, impressions, plugins
from ctrbench.injection import BASELINE
from ctrbench.workspace import Workspace

CONTENDERS = {  # what a kind is called, and the package that holds it; modes stand apart
    "backbones": "ctrbench.models",
    "controls": "ctrbench.controls",
    "importers": "ctrbench.datasets",
    "vector file formats": "ctrbench.embeddings.readers",
    "derivations": "ctrbench.embeddings.derivations",
    "pre-training methods": "ctrbench.pretraining.methods",
    "image encoders": "ctrbench.pretraining.encoders",
    "metrics": "ctrbench.metrics",
    "table formats": "ctrbench.reports",
    "kinds of figures": "ctrbench.figures",
}


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("list")(show)


def show(context: typer.Context) -> None:
    """List what a command or a benchmark file can name: modes, controls, data sets, and so on."""
    workspace: Workspace = context.obj
    modes = [name for name in plugins.names("ctrbench.injection") if name != BASELINE]
    _line("modes", modes, f"{BASELINE}, the baseline, is always trained")
    for what, package in CONTENDERS.items():
        _line(what, plugins.names(package))
    datasets = impressions.names(workspace)
    _line("data sets", datasets)
    for dataset in datasets:
        _line(f"versions of {dataset}", embeddings.names(workspace, dataset))


def _line(what: str, names: list[str], note: str = "") -> None:
    typer.echo(f"{what}: {', '.join(names) or 'none yet'}{f'  ({note})' if note else ''}")
