"""Guards of a stored version: checks that result in ok, a warning or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ctrbench.arrays import table_blocks
from ctrbench.embeddings.deriving import Fitting
from ctrbench.embeddings.statistics import LOW_COVERAGE, Coverage, Statistics, percent
from ctrbench.embeddings.versions import table_hash
from ctrbench.printable import counted
from ctrbench.schema import DatasetManifest, EmbeddingTable, Guard, VersionManifest

LARGE_COSINE = 0.5  # above it, the vectors share a large common direction
LARGE_GROUP = 0.05  # largest accepted share of items with one vector


@dataclass(frozen=True)
class Context:
    """The facts about the data set that a version is checked against."""

    dataset: DatasetManifest
    fitting: Fitting  # the items that a derivation is fitted on
    coverage: list[Coverage]


def check_version(
    manifest: VersionManifest, table: EmbeddingTable, statistics: Statistics, context: Context
) -> list[Guard]:
    """Return the result of each guard; a version with an error cannot be used.

    Args:
        manifest: The manifest of the version.
        table: The table of the version.
        statistics: The statistics of the table.
        context: The facts about the data set.
    """
    warnings = _warnings(manifest, statistics, context)
    return [*_errors(manifest, table, statistics, context), *warnings]


def _errors(
    manifest: VersionManifest, table: EmbeddingTable, statistics: Statistics, context: Context
) -> Iterator[Guard]:
    def guard(name: str, holds: bool, good: str, bad: str) -> Guard:
        return Guard(name, "ok" if holds else "error", good if holds else bad)

    yield guard(
        "items",
        manifest.items_hash == context.dataset.items_hash,
        "rows match the item ids of the data set",
        "rows do not match the current items of the data set; remove the version and add it again",
    )
    yield guard(
        "content",
        manifest.content_hash == table_hash(table),
        "the files are unchanged",
        "the files were modified after they were added; remove the version and add it again",
    )
    yield guard(
        "finite",
        not statistics.not_finite,
        "no NaN or infinite numbers",
        f"vectors with NaN or infinite numbers: {statistics.not_finite:,}",
    )
    filled = _filled_without_vector(table)
    yield guard(
        "absent rows",
        not filled,
        "row 0 and items without a vector are zero",
        f"rows that contain numbers but are marked as absent: {filled:,}",
    )
    if "fit_hash" in manifest.provenance:
        period = manifest.provenance["fit_period"]
        yield guard(
            "fitted on",
            manifest.provenance["fit_hash"] == context.fitting.hash,
            f"only items of the {period} period",
            f"the items of the {context.fitting.period} period changed, so the fit may include "
            "items of later periods; remove the version and derive it again",
        )


def _warnings(
    manifest: VersionManifest, statistics: Statistics, context: Context
) -> Iterator[Guard]:
    def guard(name: str, holds: bool, good: str, bad: str) -> Guard:
        return Guard(name, "ok" if holds else "warning", good if holds else bad)

    if manifest.kind == "vectors":
        yield from _vector_warnings(manifest, statistics, guard)
    for covered in context.coverage:
        name, share = f"coverage, {covered.period}", covered.targets / covered.impressions
        if covered.period == "test" and not covered.targets:
            yield Guard(name, "error", "no target has a vector, so nothing can be measured")
            continue
        yield guard(
            name,
            share >= LOW_COVERAGE,
            f"{percent(share)} of the targets have a vector",
            f"only {percent(share)} of the targets have a vector, which dilutes deltas",
        )


def _vector_warnings(
    manifest: VersionManifest, statistics: Statistics, guard: Callable[..., Guard]
) -> Iterator[Guard]:
    zero = counted(manifest.zero_vectors, "vector is", "vectors are")
    yield guard(
        "zero vectors",
        not statistics.zero_rows and not manifest.zero_vectors,
        "none",
        f"zero vectors, stored by an older ctrbench, count as vectors ({statistics.zero_rows:,}); "
        "remove the version and create it again"
        if statistics.zero_rows
        else f"{zero} zero; their items count as items without a vector",
    )
    group, count = statistics.largest_group, statistics.items_with_vector
    yield guard(
        "one vector for many",
        group < 2 or group <= LARGE_GROUP * count,
        f"at most {group:,} items share a vector" if group > 1 else "no two items share a vector",
        f"{group:,} of {count:,} items share one vector; check for a placeholder image or a broken "
        "encoder",
    )
    cosine = statistics.mean_cosine
    shown = "–" if cosine is None else f"{cosine:.3f}"
    yield guard(
        "common direction",
        cosine is None or cosine <= LARGE_COSINE,
        f"mean cosine {shown}",
        f"mean cosine {shown}: vectors share a large common direction; remove it with `ctrbench "
        "embeddings derive center`",
    )


def _filled_without_vector(table: EmbeddingTable) -> int:
    filled = 0
    for rows in table_blocks(table.vectors.shape):
        filled += int((table.vectors[rows][~table.has_vector[rows]] != 0).any(1).sum())
    return filled + int(np.asarray(table.has_vector[:1]).sum())
