"""Intrinsic quality of an embedding version, measured without training a CTR model.

All measures use unit vectors; clicks are those of the `valid` period.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.batches.slots import HistorySlots
from ctrbench.injection import Images
from ctrbench.metrics import auc, gauc
from ctrbench.schema import ColumnValues, EmbeddingTable, Impressions, Ragged
from ctrbench.seeding import stream

NEIGHBOURS = 10
MOST_ITEMS = 20_000  # sampled for nearest neighbours
PAIRS = 200_000  # random pairs of items
HISTORY = 50  # most clicks of a history
BLOCK_ROWS = 256  # impressions per block


@dataclass(frozen=True)
class Quality:
    """Measures of a version; None if the data set lacks the data, or below two vectors."""

    effective_rank: float | None  # exponential of the entropy of the spectrum
    mean_cosine: float | None  # of two random items
    alignment: float | None  # mean squared distance of successive clicks
    uniformity: float | None  # log mean exp(-2 d^2) of two random items; lower is more uniform
    same_category: float | None  # share of the ten nearest neighbours with the same category
    by_chance: float | None  # the same share for random items
    sim_auc: float | None  # AUC of the mean cosine of target and clicked items, on `valid`
    sim_gauc: float | None


def quality(table: EmbeddingTable, log: Impressions, category: ColumnValues | None) -> Quality:
    """Return the measures of a version.

    Args:
        table: The table of the version.
        log: The impressions of the data set.
        category: (V,) int, codes or lists of codes of an item field; None to skip.

    Source: alignment and uniformity, Wang and Isola 2020, arXiv:2005.10242, equations 1 and 2.
    """
    unit, items = _unit(table), np.flatnonzero(table.has_vector)
    rank, cosine, uniformity = _spread(unit, items)
    same, chance = _same_category(unit, items, category)
    scored = _sim_scores(unit, table.has_vector, log)
    return Quality(
        effective_rank=rank,
        mean_cosine=cosine,
        alignment=_alignment(unit, table.has_vector, log),
        uniformity=uniformity,
        same_category=same,
        by_chance=chance,
        sim_auc=scored[0],
        sim_gauc=scored[1],
    )


def version_quality(table: EmbeddingTable, log: Impressions) -> Quality:
    """Return the measures of a version, with the category of `category_of`.

    Args:
        table: The table of the version.
        log: The impressions of the data set.
    """
    category = category_of(log)
    return quality(table, log, None if category is None else log.item_fields[category])


def category_of(log: Impressions) -> str | None:
    """Return the first item field with codes; None if there is none."""
    return next((f.name for f in log.manifest.fields if f.of == "item" and f.size), None)


def effective_rank(covariance: np.ndarray) -> float:
    """Return the effective rank of a (D, D) covariance: exp of the entropy of its spectrum.

    Source: Roy and Vetterli 2007 (EUSIPCO).
    """
    spectrum = np.linalg.eigvalsh(covariance).clip(min=0)
    share = spectrum[spectrum > 0] / spectrum.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def nearest(table: EmbeddingTable, items: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Return the nearest neighbours of items by cosine, (n, count) int64; -1 if there are fewer.

    Args:
        table: The table of the version.
        items: (n,) int, items with a vector.
        count: The number of neighbours; the item itself is excluded.
    """
    unit, known = _unit(table), np.flatnonzero(table.has_vector)
    return _nearest(unit, known, items, count)


def overlap(one: EmbeddingTable, two: EmbeddingTable) -> float | None:
    """Return the mean share of common ten nearest neighbours; None without common items.

    Args:
        one: The table of a version.
        two: The table of another version of the data set.
    """
    both = np.flatnonzero(np.asarray(one.has_vector) & two.has_vector)
    if not len(both):
        return None
    sampled = _sampled(both)
    found = [_nearest(_unit(table), both, sampled, NEIGHBOURS) for table in (one, two)]
    common = (found[0][:, :, None] == found[1][:, None, :]) & (found[0] >= 0)[:, :, None]
    return float(common.any(axis=2).sum(axis=1).mean() / NEIGHBOURS)


def _unit(table: EmbeddingTable) -> np.ndarray:
    """Return the unit vectors, (V, D) float32."""
    has = np.asarray(table.has_vector)
    return Images(table.vectors, has, has).unit()


def _spread(unit: np.ndarray, items: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Return effective rank, mean cosine and uniformity; None for fewer than two items."""
    if len(items) < 2:
        return None, None, None
    mean = unit[items].mean(axis=0, dtype=np.float64)
    one, two = stream(0, "quality", "pairs").choice(items, (2, PAIRS))
    apart = np.square(unit[one] - unit[two]).sum(axis=1)[one != two]
    rank = effective_rank(np.atleast_2d(np.cov(unit[items].T.astype(np.float64))))
    return rank, float(mean @ mean), float(np.log(np.exp(-2 * apart).mean()))


def _sampled(items: np.ndarray) -> np.ndarray:
    """Return all items, or a random sample of `MOST_ITEMS`."""
    if len(items) <= MOST_ITEMS:
        return items
    return np.sort(stream(0, "quality", "items").choice(items, MOST_ITEMS, replace=False))


def _nearest(unit: np.ndarray, known: np.ndarray, items: np.ndarray, count: int) -> np.ndarray:
    if not len(known):
        return np.full((len(items), count), -1)
    import faiss

    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit[known])  # pyright: ignore[reportCallIssue]
    _, place = index.search(unit[items], min(count + 1, len(known)))  # pyright: ignore
    found = np.where(place >= 0, known[place], -1)
    # move the item itself to the end
    order = np.argsort(found == items[:, None], axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)[:, :count]
    return np.where(found == items[:, None], -1, found)


def _same_category(
    unit: np.ndarray, items: np.ndarray, category: ColumnValues | None
) -> tuple[float | None, float | None]:
    if category is None or len(items) < 2:
        return None, None
    sampled = _sampled(items)
    near = _nearest(unit, items, sampled, NEIGHBOURS)
    drawn = stream(0, "quality", "chance").choice(items, near.shape)
    sampled = np.repeat(sampled, near.shape[1])
    same = _shares_a_value(category, sampled, near.clip(min=0).ravel()).mean()
    return float(same), float(_shares_a_value(category, sampled, drawn.ravel()).mean())


def _shares_a_value(category: ColumnValues, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return whether two items have a known value in common, (n,) bool."""
    if not isinstance(category, Ragged):
        return (category[one] == category[two]) & (category[one] > 0)
    own = [set(category.values[a:b]) for a, b in pairwise(category.offsets)]
    return np.array([bool(own[a] & own[b]) for a, b in zip(one, two, strict=True)])


def _alignment(unit: np.ndarray, has_vector: np.ndarray, log: Impressions) -> float | None:
    rows = log.rows("valid")
    clicked = rows.start + np.flatnonzero((log.click[rows] == 1) & (log.history_length[rows] > 0))
    last = log.history_items[log.history_start[clicked] + log.history_length[clicked] - 1]
    target = log.item_id[clicked]
    both = has_vector[target] & has_vector[last] & (target != last)
    if not both.any():
        return None
    return float(np.square(unit[target[both]] - unit[last[both]]).sum(axis=1).mean())


def _sim_scores(
    unit: np.ndarray, has_vector: np.ndarray, log: Impressions
) -> tuple[float | None, float | None]:
    """Return AUC and GAUC of the mean cosine with the history; missing scores are the mean."""
    slots, rows = HistorySlots(log, HISTORY), log.rows("valid")
    scores = []
    for block in blocks(rows.stop, BLOCK_ROWS, rows.start):
        own = np.arange(block.start, block.stop)
        positions, row, _ = slots.positions(own)
        item, target = log.history_items[positions], log.item_id[own][row]
        known = has_vector[item] & has_vector[target]
        cosine = np.einsum("md,md->m", unit[item[known]], unit[target[known]])
        total = np.bincount(row[known], cosine, minlength=len(own))
        count = np.bincount(row[known], minlength=len(own))
        scores.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    score = np.concatenate(scores)
    if np.isnan(score).all():
        return None, None
    score = np.nan_to_num(score, nan=float(np.nanmean(score)))
    click = log.click[rows]
    return auc(click, score), gauc(click, score, log.group_id[rows])
