"""Codebooks of an embedding version: fitted once, kept by content, looked at from all sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import cast, get_args

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.atomic import atomic_file, atomic_folder
from ctrbench.clustering import Method, code_facts, collisions, count_distinct, fit_by, nearest_code
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.identity import hash_json
from ctrbench.injection import Images
from ctrbench.locks import lock
from ctrbench.quality import nearest
from ctrbench.schema import EmbeddingTable, Impressions
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

REVISION = 1  # raised when equal settings give other centres
PAIRS = 100_000  # of items, on which distances are compared
ASKED = 5_000  # items whose nearest neighbours are looked up, at most


@dataclass(frozen=True)
class Codebook:
    """Centres, and the code of every item."""

    centres: np.ndarray  # (K, D) float32
    code: np.ndarray  # (V,) int64, from 0; -1: no vector


@dataclass(frozen=True)
class CodebookFacts:
    """What a codebook does to a version; shares and correlations, 0 to 1."""

    size: int  # K
    used: float  # share of the codes
    entropy_bits: float
    largest: float  # share of the items that have the commonest code
    collisions: float  # share of the items that share their code with another
    inertia: float  # mean squared distance to the own centre, of unit vectors
    distances: float  # Spearman: of pairs' distances before and after
    neighbours: float  # share of an item's ten nearest that have its code
    by_chance: float  # the same of items at random
    rand: float | None  # adjusted Rand index, mean over pairs of seeds
    mutual: float | None  # normalised mutual information, likewise


def make_codebook(
    workspace: Workspace,
    log: Impressions,
    version: str,
    codebook_size: int,
    method: str = "kmeans",
    seed: int = 0,
    center: bool = False,
) -> Codebook:
    """The codebook of a version, from the cache or fitted now on the items of the fitting period.

    Raises:
        UnknownNameError: no such version or method.
        ConfigError: fewer than two centres.
        DataError: fewer distinct vectors than centres.
    """
    if method not in get_args(Method):
        raise UnknownNameError("codebook method", method, get_args(Method))
    if codebook_size < 2:
        raise ConfigError(
            f"codebook size {codebook_size}: give 2 or more; one code for all items says nothing."
        )
    name = log.manifest.name
    table = embeddings.open_version(workspace, name, version)
    manifest = embeddings.read_manifest(workspace, name, version)
    fitting = impressions.items_in_period(log, log.fitting_period) & table.has_vector
    if not fitting.any():
        raise DataError(f"version {version!r} has no vector of an item of {log.fitting_period}.")
    if count_distinct(table.vectors[fitting]) == 1:
        raise DataError(
            f"version {version!r} has one and the same vector for every item of "
            f"{log.fitting_period}: no codebook tells them apart."
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
    folder = workspace.cache / "codebooks" / name / version / hash_json(recipe)
    with lock(workspace.cache / "locks" / f"codebook-{folder.name}.lock"):
        if not folder.exists():
            images = Images(table.vectors, np.asarray(table.has_vector), fitting)
            unit = images.unit(center)
            centres = fit_by(cast(Method, method), unit[fitting], codebook_size, seed)
            code = np.full(len(unit), -1, np.int64)
            code[images.has_vector] = nearest_code(unit[images.has_vector], centres)
            with atomic_folder(folder) as temporary:
                np.save(temporary / "centres.npy", centres)
                np.save(temporary / "code.npy", code)
    return Codebook(np.load(folder / "centres.npy"), np.load(folder / "code.npy"))


def describe(table: EmbeddingTable, books: Sequence[Codebook], center: bool) -> CodebookFacts:
    """Look at the first of some codebooks that differ in their seed alone.

    Args:
        table: of the version.
        books: one, or several for the stability over seeds.
        center: as they were fitted.
    """
    first, has = books[0], np.asarray(table.has_vector)
    unit, items = Images(table.vectors, has, has).unit(center), np.flatnonzero(has)
    code, size = first.code[items], len(first.centres)
    facts = code_facts(code, size)
    left = np.square(unit[items] - first.centres[code]).sum(axis=1)
    one, two = stream(0, "codebook", "pairs").choice(items, (2, PAIRS))
    asked = items
    if len(items) > ASKED:
        asked = np.sort(stream(0, "codebook", "items").choice(items, ASKED, replace=False))
    near = nearest(table, asked)
    same = (first.code[near] == first.code[asked][:, None])[near >= 0]
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
    """Adjusted Rand index and normalised mutual information, of the items that both have."""
    both = (one.code >= 0) & (two.code >= 0)
    codes = [one.code[both], two.code[both]]
    rand, mutual = _agreement(codes, "rand"), _agreement(codes, "mutual")
    assert rand is not None
    assert mutual is not None
    return rand, mutual


def export(book: Codebook, item_ids: Sequence[str], folder: Path) -> None:
    """Write `codes.parquet` (item_id, code; items without a vector left out) and `centres.npy`.

    Args:
        book: with a code for every item.
        item_ids: raw, of items 1 and up.
        folder: made where it is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    has = np.flatnonzero(book.code >= 0)
    columns = {"item_id": [item_ids[item - 1] for item in has.tolist()], "code": book.code[has]}
    with atomic_file(folder / "codes.parquet") as temporary:
        pq.write_table(pa.table(columns), temporary)
    with atomic_file(folder / "centres.npy") as temporary, temporary.open("wb") as file:
        np.save(file, book.centres)


def central_items(
    book: Codebook, table: EmbeddingTable, center: bool, rows: int, columns: int
) -> np.ndarray:
    """(rows, columns) items of the largest clusters, the nearest to the centre first; -1: no more.

    Args:
        book: its clusters.
        table: of the version.
        center: as it was fitted.
        rows: clusters at most.
        columns: items of each at most.
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
    """Spearman correlation of pairs' distances before and after each vector became its centre."""
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
