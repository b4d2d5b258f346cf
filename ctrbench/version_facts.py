"""What a person wants to know of embedding versions, without a CTR model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ctrbench import embeddings, impressions
from ctrbench.embeddings import Coverage, Statistics
from ctrbench.errors import UnknownNameError
from ctrbench.quality import Quality, overlap, quality
from ctrbench.schema import EmbeddingTable, Guard, Impressions, VersionManifest
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class VersionFacts:
    """A version: how it was made, its vectors in numbers, and how much of the log they cover."""

    manifest: VersionManifest
    statistics: Statistics
    unmatched: str  # examples of ids that match no item, with the nearest id each; may be empty
    quality: Quality
    category: str | None  # the item field that `quality.same_category` compares
    coverage: tuple[Coverage, ...]


@dataclass(frozen=True)
class VersionQuality:
    """The quality of one of several versions."""

    version: str
    collapsed: str | None  # why all items look alike, if pre-training ended so
    quality: Quality


@dataclass(frozen=True)
class Overlap:
    """The ten nearest items in two versions."""

    one: str
    two: str
    share: float | None  # in common; None: no item has a vector in both


@dataclass(frozen=True)
class QualityTable:
    """Several versions of a data set."""

    dataset: str
    category: str | None  # the item field that `same_category` compares
    versions: tuple[VersionQuality, ...]
    overlaps: tuple[Overlap, ...]  # of every pair


def manifests(workspace: Workspace, dataset: str | None) -> list[VersionManifest]:
    """Return the manifests of the versions of one data set, or of all.

    Args:
        workspace: that holds them.
        dataset: an imported data set; None: all.

    Raises:
        StoreError: a version is damaged.
        UnknownNameError: no such data set.
    """
    known = embeddings.datasets(workspace)
    if dataset is not None and dataset not in known:
        every = {*known, *impressions.names(workspace)}
        if dataset not in every:
            raise UnknownNameError("data set", dataset, every)
    return [
        embeddings.read_manifest(workspace, name, version)
        for name in (known if dataset is None else [dataset])
        for version in embeddings.names(workspace, name)
    ]


def version_facts(workspace: Workspace, dataset: str, version: str) -> VersionFacts:
    """Return what a version is and knows.

    Args:
        workspace: that holds both.
        dataset: an imported data set.
        version: one of its versions.

    Raises:
        StoreError: the data set or the version is damaged.
        UnknownNameError: no such data set or version.
    """
    log = impressions.open_impressions(workspace, dataset)
    manifest = embeddings.read_manifest(workspace, dataset, version)
    table = embeddings.open_version(workspace, dataset, version, log.manifest.items_hash)
    unmatched = ""
    if manifest.unmatched_ids:
        raw_ids = impressions.raw_item_ids(workspace, dataset)
        unmatched = embeddings.pairs(manifest.unmatched_examples, raw_ids)
    return VersionFacts(
        manifest=manifest,
        statistics=embeddings.describe(table),
        unmatched=unmatched,
        quality=_quality(table, log),
        category=category_of(log),
        coverage=tuple(embeddings.coverage(table, log)),
    )


def quality_table(workspace: Workspace, dataset: str, versions: Sequence[str]) -> QualityTable:
    """Return the quality of versions, and how much they have in common.

    Args:
        workspace: that holds them.
        dataset: an imported data set.
        versions: of the data set; empty: all.

    Raises:
        StoreError: the data set or a version is damaged.
        UnknownNameError: no such data set or version.
    """
    log = impressions.open_impressions(workspace, dataset)
    tables = {
        name: embeddings.open_version(workspace, dataset, name, log.manifest.items_hash)
        for name in versions or embeddings.names(workspace, dataset)
    }
    return QualityTable(
        dataset=dataset,
        category=category_of(log),
        versions=tuple(
            VersionQuality(
                name,
                collapsed(embeddings.read_manifest(workspace, dataset, name)),
                _quality(table, log),
            )
            for name, table in tables.items()
        ),
        overlaps=tuple(
            Overlap(one, two, overlap(tables[one], tables[two]))
            for one, two in combinations(tables, 2)
        ),
    )


def checked(workspace: Workspace, dataset: str, version: str) -> list[Guard]:
    """Return the outcome of every guard of a version.

    Args:
        workspace: that holds both.
        dataset: an imported data set.
        version: one of its versions.

    Raises:
        StoreError: the data set or the version is damaged.
        UnknownNameError: no such data set or version.
    """
    log = impressions.open_impressions(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version)
    return embeddings.check(
        embeddings.read_manifest(workspace, dataset, version),
        table,
        embeddings.describe(table),
        embeddings.Context(log.manifest, fitting_of(log), embeddings.coverage(table, log)),
    )


def fitting_of(log: Impressions) -> embeddings.Fitting:
    """Return the items on which derived versions are fitted."""
    period = log.fitting_period
    return embeddings.Fitting(period, impressions.items_in_period(log, period))


def collapsed(manifest: VersionManifest) -> str | None:
    """Return why all items of a version look alike, if pre-training ended so."""
    return manifest.provenance.get("collapsed")


def category_of(log: Impressions) -> str | None:
    """Return the first item field with codes."""
    return next((f.name for f in log.manifest.fields if f.of == "item" and f.size), None)


def _quality(table: EmbeddingTable, log: Impressions) -> Quality:
    category = category_of(log)
    return quality(table, log, None if category is None else log.item_fields[category])
