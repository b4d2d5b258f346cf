"""Statistics of an embedding table, and its coverage of the log."""

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
    """Statistics of the items that have a vector."""

    items: int  # V - 1
    items_with_vector: int
    zero_rows: int  # vectors without a direction, which only versions of an older ctrbench have
    not_finite: int  # vectors with NaN or infinite numbers; an undamaged version has none
    norms: tuple[float, float, float] | None  # minimum, median, maximum; None without vectors
    mean_cosine: float | None  # of two different random items; None below two vectors
    duplicates: int  # items that share their vector with another item, except zero rows
    duplicate_vectors: int  # distinct vectors that are shared
    largest_group: int  # items with the most frequent vector; 0 or 1 if none is shared


def percent(share: float) -> str:
    """Return a share in per cent; a share other than 0 and 1 is never rounded to these.

    >>> percent(0), percent(1e-5), percent(0.25), percent(0.9999), percent(1)
    ('0.0 %', '< 0.1 %', '25.0 %', '> 99.9 %', '100.0 %')
    """
    shown = f"{100 * share:.1f} %"
    if shown == "0.0 %" and share > 0:
        return "< 0.1 %"
    return "> 99.9 %" if shown == "100.0 %" and share < 1 else shown


@dataclass(frozen=True)
class Shares:
    """The shares of a data set that have a vector, as fractions."""

    test: float | None  # of the targets of the test period; None without a test period
    targets: float  # of the targets of all periods
    items: float

    def __str__(self) -> str:
        shown = [
            (self.test, "of the test impressions"),
            (self.targets, "of all impressions"),
            (self.items, "of the items"),
        ]
        return ", ".join(f"{percent(share)} {of}" for share, of in shown if share is not None)


@dataclass(frozen=True)
class Coverage:
    """The coverage of one period."""

    period: str
    impressions: int
    targets: int  # impressions whose target item has a vector
    slots: int  # history items of all impressions, the latest of each history
    slots_with_vector: int


def describe_vectors(table: EmbeddingTable) -> Statistics:
    """Return the statistics of a table, in one pass; memory is bounded except 16 bytes per item."""
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
        # the cosines of all n^2 pairs sum to |sum of unit vectors|^2; n pairs are identical
        mean_cosine=float((total @ total - usable) / (usable * (usable - 1)))
        if usable > 1
        else None,
        duplicates=int(shared.sum()),
        duplicate_vectors=len(shared),
        largest_group=int(groups.max(initial=0)),
    )


def shares(has_vector: np.ndarray, impressions: Impressions) -> Shares:
    """Return the shares of targets and items that have a vector.

    Args:
        has_vector: (V,) bool.
        impressions: The impressions of the data set.
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
    """Return the number of targets and history slots that have a vector, per period.

    Args:
        table: The table of the version.
        impressions: The impressions of the data set.
        history_length: The largest number of items of a history; the latest count.
    """
    has = np.asarray(table.has_vector)
    before = np.zeros(
        len(impressions.history_items) + 1, np.int64
    )  # cumulative count of covered slots
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
