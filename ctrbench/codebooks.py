"""Codebooks of an embedding version: fitted, cached by content hash, described and exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import cast, get_args

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.arrays import save_array
from ctrbench.atomic import atomic_file
from ctrbench.caches import kept
from ctrbench.clustering import Method, code_facts, collisions, count_distinct, fit_by, nearest_code
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.identity import hash_json
from ctrbench.injection import Images
from ctrbench.quality import nearest
from ctrbench.schema import OF_VERSION, EmbeddingTable, Impressions
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

REVISION = 1  # raised when centres change under equal settings
PAIRS = 100_000  # random pairs of items for the correlation of distances
MOST_ITEMS = 5_000  # largest number of items for nearest neighbours


@dataclass(frozen=True)
class Codebook:
    """The centres, and the code of every item."""

    centres: np.ndarray  # (K, D) float32
    code: np.ndarray  # (V,) int64 in [0, K); -1 without a vector


@dataclass(frozen=True)
class CodebookFacts:
    """Statistics of a codebook; shares and correlations are fractions."""

    size: int  # K
    used: float  # share of codes with at least one item
    entropy_bits: float
    largest: float  # share of items with the most frequent code
    collisions: float  # share of items whose code is not unique
    inertia: float  # mean squared distance of unit vectors to their centre
    distances: float  # Spearman correlation of pair distances before and after
    neighbours: float  # share of the ten nearest neighbours with the same code
    by_chance: float  # the same share for random items
    rand: float | None  # adjusted Rand index, mean over pairs of seeds
    mutual: float | None  # normalised mutual information, mean over pairs of seeds


def make_codebook(
    workspace: Workspace,
    log: Impressions,
    version: str,
    codebook_size: int,
    method: str = "kmeans",
    seed: int = 0,
    center: bool = False,
) -> Codebook:
    """Return the codebook of a version, cached or fitted on the items of the fitting period.

    Args:
        workspace: The workspace.
        log: The impressions of the data set.
        version: The name of the version, or of one of its vector fields, such as `v7:text`.
        codebook_size: The number of centres, K.
        method: The name of the clustering method.
        seed: The seed of the fit.
        center: Whether to subtract the mean vector before normalising.

    Raises:
        UnknownNameError: The version, the field or the method does not exist.
        ConfigError: `codebook_size` is below 2, or the version has several vector fields.
        DataError: There are fewer distinct vectors than centres.
        DamagedError: The version is damaged.
    """
    if method not in get_args(Method):
        raise UnknownNameError("codebook method", method, get_args(Method))
    if codebook_size < 2:
        raise ConfigError(f"codebook size {codebook_size}: choose 2 or more.")
    name = log.manifest.name
    table = embeddings.open_version(workspace, name, version)
    manifest = embeddings.read_manifest(workspace, name, version)
    fitting = impressions.items_in_period(log, log.fitting_period) & table.has_vector
    if not fitting.any():
        raise DataError(
            f"version {version!r} has no vector for any item of the {log.fitting_period} period."
        )
    if count_distinct(table.vectors[fitting]) == 1:
        raise DataError(
            f"version {version!r} has the same vector for every item of the {log.fitting_period} "
            "period; a codebook requires at least 2 distinct vectors."
        )
    recipe = {
        "revision": REVISION,
        "vectors": manifest.content_hash,
        "data": log.manifest.content_hash,
        "method": method,
        "codebook_size": codebook_size,
        "seed": seed,
        "center": center,
    }
    folder = workspace.cache / "codebooks" / name / manifest.name / hash_json(recipe)

    def make(empty: Path) -> None:
        embeddings.require_intact(workspace, name, version.partition(OF_VERSION)[0])
        images = Images(table.vectors, np.asarray(table.has_vector), fitting)
        unit = images.unit(center)
        centres = fit_by(cast(Method, method), unit[fitting], codebook_size, seed)
        code = np.full(len(unit), -1, np.int64)
        code[images.has_vector] = nearest_code(unit[images.has_vector], centres)
        save_array(empty / "centres.npy", centres)
        save_array(empty / "code.npy", code)

    folder = kept(workspace, folder, make)
    return Codebook(np.load(folder / "centres.npy"), np.load(folder / "code.npy"))


def describe(table: EmbeddingTable, books: Sequence[Codebook], center: bool) -> CodebookFacts:
    """Return the statistics of the first codebook, and the stability over all.

    Args:
        table: The table of the version.
        books: Codebooks that differ only in their seed.
        center: The setting that they were fitted with.
    """
    first, has = books[0], np.asarray(table.has_vector)
    unit, items = Images(table.vectors, has, has).unit(center), np.flatnonzero(has)
    code, size = first.code[items], len(first.centres)
    facts = code_facts(code, size)
    left = np.square(unit[items] - first.centres[code]).sum(axis=1)
    one, two = stream(0, "codebook", "pairs").choice(items, (2, PAIRS))
    sampled = items
    if len(items) > MOST_ITEMS:
        sampled = np.sort(stream(0, "codebook", "items").choice(items, MOST_ITEMS, replace=False))
    near = nearest(table, sampled)
    same = (first.code[near] == first.code[sampled][:, None])[near >= 0]
    return CodebookFacts(
        size=size,
        used=facts["codes_used"],
        entropy_bits=facts["code_entropy_bits"],
        largest=facts["largest_code"],
        collisions=collisions(code),
        inertia=float(left.mean()),
        distances=_correlation(unit, first, one, two),
        neighbours=float(same.mean()) if same.size else float("nan"),
        by_chance=float((first.code[one] == first.code[two])[one != two].mean()),
        rand=_agreement([book.code[items] for book in books], "rand"),
        mutual=_agreement([book.code[items] for book in books], "mutual"),
    )


def agreement(one: Codebook, two: Codebook) -> tuple[float, float]:
    """Return adjusted Rand index and normalised mutual information on common items.

    Args:
        one: A codebook.
        two: Another codebook of the data set.
    """
    both = (one.code >= 0) & (two.code >= 0)
    codes = [one.code[both], two.code[both]]
    rand, mutual = _agreement(codes, "rand"), _agreement(codes, "mutual")
    assert rand is not None
    assert mutual is not None
    return rand, mutual


def export(book: Codebook, item_ids: Sequence[str], folder: Path) -> None:
    """Write `codes.parquet` (item_id, code of items with a vector) and `centres.npy`.

    Args:
        book: The codebook.
        item_ids: The raw ids of items 1..V-1.
        folder: The folder; created if missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    has = np.flatnonzero(book.code >= 0)
    columns = {"item_id": [item_ids[item - 1] for item in has.tolist()], "code": book.code[has]}
    with atomic_file(folder / "codes.parquet") as temporary:
        pq.write_table(pa.table(columns), temporary)
    with atomic_file(folder / "centres.npy") as temporary:
        save_array(temporary, book.centres)


def central_items(
    book: Codebook, table: EmbeddingTable, center: bool, rows: int, columns: int
) -> np.ndarray:
    """Return the items nearest to the centres of the largest clusters, (rows, columns) int64.

    Args:
        book: The codebook.
        table: The table of the version.
        center: The setting that the codebook was fitted with.
        rows: The largest number of clusters.
        columns: The largest number of items per cluster; missing items are -1.
    """
    has = np.asarray(table.has_vector)
    unit = Images(table.vectors, has, has).unit(center)
    size = np.bincount(book.code[has], minlength=len(book.centres))
    largest = np.argsort(-size, kind="stable")[: min(rows, int((size > 0).sum()))]
    found = np.full((len(largest), columns), -1, np.int64)
    for row, code in enumerate(largest):
        members = np.flatnonzero(book.code == code)
        distance = np.square(unit[members] - book.centres[code]).sum(axis=1)
        chosen = members[np.argsort(distance, kind="stable")[:columns]]
        found[row, : len(chosen)] = chosen
    return found


def _correlation(unit: np.ndarray, book: Codebook, one: np.ndarray, two: np.ndarray) -> float:
    """Return the Spearman correlation of pair distances between vectors and between centres."""
    from scipy.stats import spearmanr

    apart = one != two
    before = np.square(unit[one[apart]] - unit[two[apart]]).sum(axis=1)
    codes = book.code[one[apart]], book.code[two[apart]]
    after = np.square(book.centres[codes[0]] - book.centres[codes[1]]).sum(axis=1)
    if np.ptp(after) == 0 or np.ptp(before) == 0:
        return 0.0
    return float(spearmanr(before, after)[0])  # pyright: ignore[reportArgumentType]


def _agreement(codes: Sequence[np.ndarray], kind: str) -> float | None:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    if len(codes) < 2:
        return None
    score = adjusted_rand_score if kind == "rand" else normalized_mutual_info_score
    return float(np.mean([score(a, b) for a, b in combinations(codes, 2)]))
