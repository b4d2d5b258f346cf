"""Facts of embedding versions: provenance, statistics, coverage and intrinsic quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ctrbench import embeddings, impressions
from ctrbench.clustering import level_facts
from ctrbench.display import Displayed
from ctrbench.embeddings import Coverage, Statistics
from ctrbench.errors import UnknownNameError
from ctrbench.quality import Quality, category_of, overlap, version_quality
from ctrbench.schema import EmbeddingTable, Guard, Impressions, VersionManifest
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class VersionFacts(Displayed, view="versions.show"):
    """One vector field of a version: its provenance, statistics, quality and coverage."""

    manifest: VersionManifest
    statistics: Statistics | None  # None: a version of codes
    unmatched: str  # examples of ids that match no item, with the nearest id each; may be empty
    quality: Quality | None  # None: a version of codes
    category: str | None  # the item field that `quality.same_category` compares
    coverage: tuple[Coverage, ...]
    codes: Mapping[str, float] | None = None  # see `clustering.level_facts`; None: vectors


@dataclass(frozen=True)
class VersionQuality:
    """The quality of one of several versions, or of their vector fields."""

    version: str  # or one of its vector fields, such as v7:text
    collapsed: str | None  # the reason if pre-training collapsed
    quality: Quality


@dataclass(frozen=True)
class Overlap:
    """The share of the ten nearest items that two versions have in common."""

    one: str
    two: str
    share: float | None  # None: no item has a vector in both


@dataclass(frozen=True)
class QualityTable(Displayed, view="versions.show_quality"):
    """Several versions of a data set."""

    dataset: str
    category: str | None  # the item field that `same_category` compares
    versions: tuple[VersionQuality, ...]
    overlaps: tuple[Overlap, ...]  # of every pair


def manifests(workspace: Workspace, dataset: str | None) -> list[VersionManifest]:
    """Return the manifests of the versions of one data set, or of all.

    Args:
        workspace: The workspace that holds the versions.
        dataset: The name of an imported data set; None: all.

    Raises:
        StoreError: A version is damaged.
        UnknownNameError: The data set does not exist.
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
    """Return the facts of a version.

    Args:
        workspace: The workspace that holds the data set and the version.
        dataset: The name of an imported data set.
        version: The name of one of its versions, or of a vector field, such as `v7:text`.

    Raises:
        ConfigError: The version has several vector fields, and none is named.
        StoreError: The data set or the version is damaged.
        UnknownNameError: The data set, the version or the field does not exist.
    """
    log = impressions.open_impressions(workspace, dataset)
    manifest = embeddings.read_manifest(workspace, dataset, version)
    table = embeddings.open_version(
        workspace, dataset, version, log.manifest.items_hash, codes=True
    )
    codes = manifest.kind == "codes"
    unmatched = ""
    if manifest.unmatched_ids:
        raw_ids = impressions.raw_item_ids(workspace, dataset)
        unmatched = embeddings.pairs(manifest.unmatched_examples, raw_ids)
    return VersionFacts(
        manifest=manifest,
        statistics=None if codes else embeddings.describe_vectors(table),
        unmatched=unmatched,
        quality=None if codes else version_quality(table, log),
        category=category_of(log),
        coverage=tuple(embeddings.coverage(table, log)),
        codes=_code_facts(table, manifest) if codes else None,
    )


def _code_facts(table: EmbeddingTable, manifest: VersionManifest) -> dict[str, float]:
    codes = embeddings.numbered_codes(table).vectors[table.has_vector]
    return level_facts(codes, manifest.code_counts)


def quality_table(workspace: Workspace, dataset: str, versions: Sequence[str]) -> QualityTable:
    """Return the quality of versions, and the overlap of their nearest neighbours.

    Args:
        workspace: The workspace that holds the data set and its versions.
        dataset: The name of an imported data set.
        versions: The names of the versions or vector fields to compare; empty: all of vectors.

    Raises:
        ConfigError: A named version has several vector fields, and none of them is named.
        StoreError: The data set or a version is damaged.
        UnknownNameError: The data set, a version or a field does not exist.
        ConfigError: A version holds codes.
    """
    log = impressions.open_impressions(workspace, dataset)
    tables = {
        name: embeddings.open_version(workspace, dataset, name, log.manifest.items_hash)
        for name in versions or _references(workspace, dataset)
    }
    return QualityTable(
        dataset=dataset,
        category=category_of(log),
        versions=tuple(
            VersionQuality(
                name,
                collapsed(embeddings.read_manifest(workspace, dataset, name)),
                version_quality(table, log),
            )
            for name, table in tables.items()
        ),
        overlaps=tuple(
            Overlap(one, two, overlap(tables[one], tables[two]))
            for one, two in combinations(tables, 2)
        ),
    )


def _references(workspace: Workspace, dataset: str) -> list[str]:
    """Return the names of all versions of vectors; one per vector field if there are several."""
    known = embeddings.names(workspace, dataset)
    found = (embeddings.read_manifest(workspace, dataset, name) for name in known)
    return [
        one.reference(field)
        for one in found
        for field in one.field_names
        if one.of(field).kind == "vectors"
    ]


def checked(workspace: Workspace, dataset: str, version: str) -> list[Guard]:
    """Return the outcome of every guard of a version.

    Args:
        workspace: The workspace that holds the data set and the version.
        dataset: The name of an imported data set.
        version: The name of one of its versions, or of a vector field, such as `v7:text`.

    Raises:
        ConfigError: The version has several vector fields, and none is named.
        StoreError: The data set or the version is damaged.
        UnknownNameError: The data set, the version or the field does not exist.
    """
    log = impressions.open_impressions(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version, codes=True)
    return embeddings.check_version(
        embeddings.read_manifest(workspace, dataset, version),
        table,
        embeddings.describe_vectors(table),
        embeddings.Context(log.manifest, fitting_of(log), embeddings.coverage(table, log)),
    )


def fitting_of(log: Impressions) -> embeddings.Fitting:
    """Return the items on which derived versions are fitted."""
    period = log.fitting_period
    return embeddings.Fitting(period, impressions.items_in_period(log, period))


def collapsed(manifest: VersionManifest) -> str | None:
    """Return the reason if the version comes from a collapsed pre-training."""
    return manifest.provenance.get("collapsed")
