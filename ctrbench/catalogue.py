"""All names that a command or a benchmark file can use: contenders, data sets, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctrbench import embeddings, impressions, plugins
from ctrbench.display import Displayed
from ctrbench.injection import BASELINE
from ctrbench.workspace import Workspace

CONTENDERS = {  # kind -> its package; `Catalogue` lists modes separately
    "backbones": "ctrbench.models",
    "controls": "ctrbench.controls",
    "importers": "ctrbench.datasets",
    "vector file formats": "ctrbench.embeddings.readers",
    "derivations": "ctrbench.embeddings.derivations",
    "pre-training methods": "ctrbench.pretraining.methods",
    "image encoders": "ctrbench.pretraining.encoders",
    "metrics": "ctrbench.metrics",
    "rules of slices": "ctrbench.slices",
    "table formats": "ctrbench.reports",
    "kinds of figures": "ctrbench.figures",
    "trackers": "ctrbench.trackers",
}


@dataclass(frozen=True)
class Catalogue(Displayed, view="catalogue.show"):
    """All names of an installation and a workspace."""

    modes: tuple[str, ...]  # without the baseline
    baseline: str
    contenders: Mapping[str, list[str]]  # kind -> names, without modes
    versions: Mapping[str, list[str]]  # data set -> names


def catalogue(workspace: Workspace) -> Catalogue:
    """Return all names that exist in a workspace."""
    return Catalogue(
        modes=tuple(name for name in plugins.names("ctrbench.injection") if name != BASELINE),
        baseline=BASELINE,
        contenders={kind: plugins.names(package) for kind, package in CONTENDERS.items()},
        versions={name: embeddings.names(workspace, name) for name in impressions.names(workspace)},
    )
