"""What an embedding table looks like in numbers, and how much of the log it covers."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from ctrbench.arrays import blocks, table_blocks
from ctrbench.embeddings.directions import SHORTEST
from ctrbench.schema import PERIODS, EmbeddingTable, Impressions

LOW_COVERAGE = 0.5  # share of the targets that have a vector


@dataclass(frozen=True)
class Statistics:
    """Of the items that have a vector."""

    items: int  # V - 1
    items_with_vector: int
    zero_rows: int  # vectors without a direction; a version that is made now has none
    not_finite: int  # vectors with NaN or infinite numbers; none in an undamaged version
    norms: tuple[float, float, float] | None  # smallest, median, largest; None without vectors
    mean_cosine: float | None  # expected cosine of two different items; None below two vectors
    duplicates: int  # items that share their vector with another item, zero rows apart
    duplicate_vectors: int  # distinct vectors that are shared
    largest_group: int  # items that share the most common vector; 0 or 1: none is shared


def percent(share: float) -> str:
    """A share in per cent, never rounded to none or all.

    >>> percent(0), percent(1e-5), percent(0.25), percent(0.9999), percent(1)
    ('0.0 %', '< 0.1 %', '25.0 %', '> 99.9 %', '100.0 %')
    """
    shown = f"{100 * share:.1f} %"
    if shown == "0.0 %" and share > 0:
        return "< 0.1 %"
    return "> 99.9 %" if shown == "100.0 %" and share < 1 else shown


@dataclass(frozen=True)
class Shares:
    """How much of a data set has a vector, as fractions."""

    test: float | None  # of the test period's targets; None where there is no such period
    targets: float  # of all periods' targets
    items: float

    def __str__(self) -> str:
        told = [
            (self.test, "of the test impressions"),
            (self.targets, "of all impressions"),
            (self.items, "of the items"),
        ]
        return ", ".join(f"{percent(share)} {of}" for share, of in told if share is not None)


@dataclass(frozen=True)
class Coverage:
    """Of one period."""

    period: str
    impressions: int
    targets: int  # impressions whose target item has a vector
    slots: int  # history items over all impressions, the latest ones of each
    slots_with_vector: int


def describe(table: EmbeddingTable) -> Statistics:
    """Statistics of a table, in one pass and bounded memory but for 16 bytes an item."""
    norms, digests = [], []
    total = np.zeros(table.vectors.shape[1])  # of the unit vectors
    for rows in table_blocks(table.vectors.shape):
        given = table.vectors[rows][table.has_vector[rows]]
        vectors = given.astype(np.float64)
        norm = np.linalg.norm(vectors, axis=1)
        usable = np.isfinite(norm) & (norm >= SHORTEST)
        total += (vectors[usable] / norm[usable, None]).sum(0)
        norms.append(norm)
        digests += [blake2b(vector.tobytes(), digest_size=8).digest() for vector in given[usable]]
    norm = np.concatenate(norms)
    groups = np.unique(np.frombuffer(b"".join(digests), np.uint64), return_counts=True)[1]
    shared, usable = groups[groups > 1], len(digests)
    finite = norm[np.isfinite(norm)]
    return Statistics(
        items=len(table.has_vector) - 1,
        items_with_vector=len(norm),
        zero_rows=int((norm < SHORTEST).sum()),
        not_finite=len(norm) - len(finite),
        norms=(float(finite.min()), float(np.median(finite)), float(finite.max()))
        if len(finite)
        else None,
        # the n^2 pairs' cosines sum to |sum of unit vectors|^2; n of them pair an item with itself
        mean_cosine=float((total @ total - usable) / (usable * (usable - 1)))
        if usable > 1
        else None,
        duplicates=int(shared.sum()),
        duplicate_vectors=len(shared),
        largest_group=int(groups.max(initial=0)),
    )


def shares(has_vector: np.ndarray, impressions: Impressions) -> Shares:
    """How many targets and items have a vector.

    Args:
        has_vector: (V,) bool.
        impressions: the data set's.
    """
    targets, test = np.asarray(has_vector), impressions.rows("test")
    counts = [
        int(targets[impressions.item_id[rows]].sum()) for rows in blocks(len(impressions.item_id))
    ]
    of_test = targets[impressions.item_id[test]]
    return Shares(
        test=float(of_test.mean()) if len(of_test) else None,
        targets=sum(counts) / len(impressions.item_id),
        items=float(targets[1:].mean()),
    )


def coverage(
    table: EmbeddingTable, impressions: Impressions, history_length: int = 50
) -> list[Coverage]:
    """How many targets and history slots have a vector, by period.

    Args:
        table: rows by item_id.
        impressions: the data set's.
        history_length: a history is its latest so many items.
    """
    has = np.asarray(table.has_vector)
    before = np.zeros(len(impressions.history_items) + 1, np.int64)  # covered before a position
    for place in blocks(len(impressions.history_items)):
        covered = np.cumsum(has[impressions.history_items[place]])
        before[place.start + 1 : place.stop + 1] = before[place.start] + covered
    found = []
    for period in PERIODS:
        rows, counts = impressions.rows(period), np.zeros(3, np.int64)
        for block in blocks(rows.stop, start=rows.start):
            length = impressions.history_length[block].astype(np.int64)
            end = impressions.history_start[block] + length
            latest = np.minimum(length, history_length)
            slots = before[end] - before[end - latest]
            targets = has[impressions.item_id[block]]
            counts += [targets.sum(), latest.sum(), slots.sum()]
        if rows.stop > rows.start:
            found.append(Coverage(period, rows.stop - rows.start, *map(int, counts)))
    return found
