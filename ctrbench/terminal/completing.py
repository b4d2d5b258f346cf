"""Shell completion: names of the installation and of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from ctrbench import embeddings, impressions, plugins
from ctrbench.errors import CtrBenchError
from ctrbench.workspace import Workspace, workspace_at

Completion = Callable[[typer.Context, str], list[str]]


def _completion(names: Callable[[Workspace, typer.Context], Iterable[str]]) -> Completion:
    """Return a callback for typer; it returns no names if the workspace cannot be read."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            workspace = workspace_at(ctx.find_root().params.get("home") or Path())
            before, comma, last = incomplete.rpartition(",")  # `oracle,ra`: a list of names
            found = {name for name in names(workspace, ctx) if name.startswith(last)}
            return [f"{before}{comma}{name}" for name in sorted(found)]
        except (CtrBenchError, OSError):
            return []

    return complete


def _contenders(package: str) -> Completion:
    return _completion(lambda workspace, context: plugins.names(package))


def _datasets(workspace: Workspace, context: typer.Context) -> list[str]:
    chosen = context.params.get("dataset")
    return [chosen] if chosen else impressions.names(workspace)


def _versions(workspace: Workspace, context: typer.Context) -> Iterable[str]:
    """Yield the versions of `--dataset` if it was typed before, else of all data sets."""
    for dataset in _datasets(workspace, context):
        yield from embeddings.names(workspace, dataset)


def _references(workspace: Workspace, context: typer.Context) -> Iterable[str]:
    """Yield the versions as `_versions`, and `VERSION:FIELD` of those with several fields."""
    for dataset in _datasets(workspace, context):
        for version in embeddings.names(workspace, dataset):
            manifest = embeddings.read_manifest(workspace, dataset, version)
            yield version
            yield from (manifest.reference(field) for field in manifest.field_names)


def _arms(workspace: Workspace, context: typer.Context) -> Iterable[str]:
    """Yield DATASET/VERSION/MODE of all stored cells."""
    del context
    for folder in workspace.results.glob("*/*/*"):
        if folder.is_dir():
            yield "/".join(folder.parts[-3:])


datasets = _completion(lambda workspace, context: impressions.names(workspace))
versions = _completion(_versions)
references = _completion(_references)
arms = _completion(_arms)
modes = _contenders("ctrbench.injection")
executors = _contenders("ctrbench.executors")
formats = _contenders("ctrbench.reports")
figures = _contenders("ctrbench.figures")
methods = _contenders("ctrbench.pretraining.methods")
