"""What an embedding version knows, at a glance: no CTR model is trained.

Everything is measured on unit vectors; clicks are those of the `valid` period.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import faiss
import numpy as np

from ctrbench.arrays import blocks
from ctrbench.impressions.slots import HistorySlots
from ctrbench.injection import Images
from ctrbench.metrics import auc, gauc
from ctrbench.schema import Column, EmbeddingTable, Impressions, Ragged
from ctrbench.seeding import stream

NEIGHBOURS = 10
MOST_ITEMS = 20_000  # whose neighbours are looked up
PAIRS = 200_000  # of items drawn at random
HISTORY = 50  # clicks of a history at most
BLOCK_ROWS = 256  # impressions whose vectors are held at a time


@dataclass(frozen=True)
class Quality:
    """Of one version; None where the data set, or fewer than two vectors, cannot tell."""

    effective_rank: float | None  # dimensions in use: the exponential of the spectrum's entropy
    mean_cosine: float | None  # of two items at random
    alignment: float | None  # mean squared distance of a clicked item and the click before it
    uniformity: float | None  # log mean exp(-2 d^2) of two items; the lower, the more even
    same_category: float | None  # share of an item's ten nearest that share its category
    by_chance: float | None  # the same of ten items at random
    sim_auc: float | None  # of the mean cosine of the target and the clicked items, on `valid`
    sim_gauc: float | None


def quality(table: EmbeddingTable, log: Impressions, category: Column | None) -> Quality:
    """Measure a version.

    Args:
        table: of the version.
        log: the data set's.
        category: (V,) an item field, codes or lists of codes.

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


def effective_rank(covariance: np.ndarray) -> float:
    """Dimensions in use, from a (D, D) covariance: the exponential of its spectrum's entropy.

    Source: Roy and Vetterli 2007 (EUSIPCO).
    """
    spectrum = np.linalg.eigvalsh(covariance).clip(min=0)
    share = spectrum[spectrum > 0] / spectrum.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def nearest(table: EmbeddingTable, items: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """(n, count) the items nearest to each of (n,) items by cosine, not itself; -1: no more."""
    unit, known = _unit(table), np.flatnonzero(table.has_vector)
    return _nearest(unit, known, items, count)


def overlap(one: EmbeddingTable, two: EmbeddingTable) -> float | None:
    """Mean share of an item's ten nearest that two versions have in common; None: no items are."""
    both = np.flatnonzero(np.asarray(one.has_vector) & two.has_vector)
    if not len(both):
        return None
    asked = _asked(both)
    found = [_nearest(_unit(table), both, asked, NEIGHBOURS) for table in (one, two)]
    common = (found[0][:, :, None] == found[1][:, None, :]) & (found[0] >= 0)[:, :, None]
    return float(common.any(axis=2).sum(axis=1).mean() / NEIGHBOURS)


def _unit(table: EmbeddingTable) -> np.ndarray:
    """(V, D) float32."""
    has = np.asarray(table.has_vector)
    return Images(table.vectors, has, has).unit()


def _spread(unit: np.ndarray, items: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """Effective rank, mean cosine and uniformity; None of fewer than two items."""
    if len(items) < 2:
        return None, None, None
    mean = unit[items].mean(axis=0, dtype=np.float64)
    one, two = stream(0, "quality", "pairs").choice(items, (2, PAIRS))
    apart = np.square(unit[one] - unit[two]).sum(axis=1)[one != two]
    rank = effective_rank(np.atleast_2d(np.cov(unit[items].T.astype(np.float64))))
    return rank, float(mean @ mean), float(np.log(np.exp(-2 * apart).mean()))


def _asked(items: np.ndarray) -> np.ndarray:
    """All items, or as many as are looked up, drawn at random."""
    if len(items) <= MOST_ITEMS:
        return items
    return np.sort(stream(0, "quality", "items").choice(items, MOST_ITEMS, replace=False))


def _nearest(unit: np.ndarray, known: np.ndarray, items: np.ndarray, count: int) -> np.ndarray:
    if not len(known):
        return np.full((len(items), count), -1)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit[known])  # pyright: ignore[reportCallIssue]
    _, place = index.search(unit[items], min(count + 1, len(known)))  # pyright: ignore
    found = np.where(place >= 0, known[place], -1)
    order = np.argsort(found == items[:, None], axis=1, kind="stable")  # itself goes last
    found = np.take_along_axis(found, order, axis=1)[:, :count]
    return np.where(found == items[:, None], -1, found)


def _same_category(
    unit: np.ndarray, items: np.ndarray, category: Column | None
) -> tuple[float | None, float | None]:
    if category is None or len(items) < 2:
        return None, None
    asked = _asked(items)
    near = _nearest(unit, items, asked, NEIGHBOURS)
    drawn = stream(0, "quality", "chance").choice(items, near.shape)
    asked = np.repeat(asked, near.shape[1])
    same = _shares_a_value(category, asked, near.clip(min=0).ravel()).mean()
    return float(same), float(_shares_a_value(category, asked, drawn.ravel()).mean())


def _shares_a_value(category: Column, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(n,) bool: whether two items have a known value in common."""
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
    """AUC and GAUC of the mean cosine with the history; who has none gets the mean score."""
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
