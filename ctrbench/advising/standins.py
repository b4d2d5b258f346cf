"""Scores that stand in for a trained model: what each mode could learn from a log.

Every function returns columns for a logistic regression, one row per impression of the sample. What
a column learns from clicks is learned on other users, see `Sample`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ctrbench.advising.sample import PRIOR, VALID, Sample, log_odds
from ctrbench.arrays import blocks
from ctrbench.clustering import fit_codebook, nearest_code
from ctrbench.schema import ColumnValues, Ragged

DIRECTIONS = 16  # of the vectors, for the bilinear score
PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)  # of the ridge regression
QUANTILES = (0.5, 0.8, 0.95)  # of the cosines, as limits of shares
LEAST_SPREAD = 1e-3  # of cosines; smaller differences are those of rounding
ROUNDING = 1e-5  # of cosines; those of an item with itself are 1 only up to rounding
FIELD_VALUES = 32  # of a field have weights of their own; the others share one
PAIR_PRIOR = 30.0  # slots at the target code's rate that are added to every pair of codes
BLOCK_SLOTS = 1 << 17


def baseline_columns(sample: Sample) -> np.ndarray:
    """Return what a model without images knows, (n, F): rates of ids and fields, and habits."""
    log, rows = sample.log, sample.rows
    same = sample.histories[np.arange(len(rows)), sample.item]
    same = np.asarray(same, np.float64).ravel()  # the share of the history that is the target
    found = [
        _rates(sample, sample.item, log.item_rows),
        same,
        (same > 0).astype(np.float64),
        np.log1p(log.history_length[rows]),
        *field_pair_columns(sample, np.ones(len(sample.slots[0]))).T,
    ]
    if log.prior_impressions is not None and log.prior_clicks is not None:
        clicks = log.prior_clicks[rows] + PRIOR * sample.mean
        found.append(clicks / (log.prior_impressions[rows] + PRIOR))
    sizes = {field.name: field.size for field in log.manifest.fields}
    for name, values in log.item_fields.items():
        if sizes[name]:
            found += _field_columns(sample, values, sizes[name] + 1)
        elif not isinstance(values, Ragged) and values.dtype.kind == "f":
            found.append(np.nan_to_num(values[sample.item]))
    for name, values in log.context_fields.items():
        if isinstance(values, Ragged):
            continue
        own = values[rows]
        known = sizes[name] > 0
        found.append(_rates(sample, own, sizes[name] + 1) if known else np.nan_to_num(own))
    return np.stack(found, axis=1)


def similarity_columns(sample: Sample, unit: np.ndarray) -> np.ndarray:
    """Return statistics of the cosines of target and clicked items, (n, 5).

    Mean, largest, and the shares above three quantiles of all cosines.

    Args:
        sample: The impressions.
        unit: (V, D) float32 unit vectors; zero without a vector.
    """
    cosine = np.concatenate([np.empty(0, np.float32), *_cosines(sample, unit)])
    _, row, _ = sample.slots
    largest = np.full(len(sample.rows), -1.0)
    np.maximum.at(largest, row, cosine)
    limits = np.quantile(cosine, QUANTILES) if len(cosine) else np.zeros(len(QUANTILES))
    shares = [sample.pooled(cosine > limit - ROUNDING) for limit in limits]
    return np.stack([sample.pooled(cosine), largest, *shares], axis=1)


def paired_similarity_columns(sample: Sample, unit: np.ndarray) -> np.ndarray:
    """Return scores of cosines that are weighted by the values of a field, (n, F).

    The cosines are measured from their mean, so that vectors that are all alike add nothing.

    Args:
        sample: The impressions.
        unit: (V, D) float32 unit vectors; zero without a vector.
    """
    cosine = np.concatenate([np.empty(0, np.float32), *_cosines(sample, unit)])
    item, row, _ = sample.slots
    has = np.asarray(unit.any(axis=1))
    known = has[item] & has[sample.item[row]]
    if known.any():
        cosine = np.where(known, cosine - cosine[known].mean(), 0)
        cosine /= max(float(cosine[known].std()), LEAST_SPREAD)
    return field_pair_columns(sample, cosine)


def field_pair_columns(sample: Sample, value: np.ndarray) -> np.ndarray:
    """Return scores of the pairs of field values of target and clicked items, (n, F).

    One column per categorical field of items: the mean over the history of a value per slot, times
    a weight for the pair of the field's values. A ridge regression learns the weights.

    Args:
        sample: The impressions.
        value: (m,) float, one per slot.
    """
    item, row, lengths = sample.slots
    share, found = value / np.maximum(lengths, 1)[row], []
    sizes = {field.name: field.size for field in sample.log.manifest.fields}
    for name, values in sample.log.item_fields.items():
        if not sizes[name] or isinstance(values, Ragged):
            continue
        group = _frequent(values, values[sample.item], sizes[name] + 1)
        count = int(group.max()) + 1
        clicked = row.astype(np.int64) * count + group[item]
        columns = np.bincount(clicked, share, len(sample.rows) * count).reshape(-1, count)
        found.append(_ridge(sample, columns, group[sample.item]))
    return np.stack(found, axis=1) if found else np.empty((len(sample.rows), 0))


def bilinear_columns(sample: Sample, unit: np.ndarray, fitting: np.ndarray) -> np.ndarray:
    """Return the score of a ridge regression on target x mean history and the target, (n, 1).

    Args:
        sample: The impressions.
        unit: (V, D) float32 unit vectors; zero without a vector.
        fitting: (n,) int, the items on which the directions are fitted.
    """
    reduced = _reduced(unit, fitting)
    target, history = reduced[sample.item], sample.histories @ reduced
    products = (target[:, :, None] * history[:, None, :]).reshape(len(target), -1)
    return _ridge(sample, np.concatenate([target, products], axis=1))[:, None]


def code_columns(sample: Sample, code: np.ndarray, size: int) -> np.ndarray:
    """Return three columns from the codes of target and history, (n, 3).

    The rate of the target's code, the mean over the history of the log odds of a click for the pair
    of codes, and the share of the history with the target's code.

    Args:
        sample: The impressions.
        code: (V,) int, below `size`.
        size: The number of codes, and one for items without a vector.
    """
    item, row, _ = sample.slots
    clicked, target = code[item], code[sample.item[row]]
    return np.stack(
        [
            _rates(sample, code[sample.item], size),
            _pairs(sample, clicked, target, size),
            sample.pooled(clicked == target),
        ],
        axis=1,
    )


def codes_of(unit: np.ndarray, has: np.ndarray, fitting: np.ndarray, size: int) -> np.ndarray:
    """Return the code of every item, (V,) int64; `size` without a vector.

    Args:
        unit: (V, D) float32 unit vectors.
        has: (V,) bool, the items with a vector.
        fitting: (n,) int, the items on which the centres are fitted.
        size: The number of codes.
    """
    code = np.full(len(unit), size, np.int64)
    code[has] = nearest_code(unit[has], fit_codebook(unit[fitting], size, 0))
    return code


def _rates(sample: Sample, key: np.ndarray, size: int) -> np.ndarray:
    """Return the smoothed log odds of a click of each impression's key, (n,)."""
    found = np.empty(len(key))
    for scored, learned in sample.folds():
        shown = np.bincount(key[learned], minlength=size)
        clicked = np.bincount(key[learned], sample.click[learned], size)
        rate = (clicked + PRIOR * sample.mean) / (shown + PRIOR)
        found[scored] = log_odds(rate)[key[scored]]
    return found


def _field_columns(sample: Sample, values: ColumnValues, size: int) -> list[np.ndarray]:
    """Return the mean rate of an item's values, and the share of the history that has them."""
    from scipy.sparse import csr_matrix

    offsets = values.offsets if isinstance(values, Ragged) else np.arange(len(values) + 1)
    codes = values.values if isinstance(values, Ragged) else values
    count = np.diff(offsets)
    weight = np.repeat(1 / np.maximum(count, 1), count)
    shares: Any = csr_matrix((weight, codes, offsets), (len(values), size))
    target, rate = shares[sample.item], np.empty(len(sample.rows))
    for scored, learned in sample.folds():
        shown = np.asarray(target[learned].sum(axis=0)).ravel()
        clicked = target[learned].T @ sample.click[learned]
        odds = log_odds((clicked + PRIOR * sample.mean) / (shown + PRIOR))
        rate[scored] = target[scored] @ odds
    same = np.asarray((sample.histories @ shares).multiply(target).sum(axis=1)).ravel()
    return [rate, same]


def _cosines(sample: Sample, unit: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cosines of the slots, in order; 0 if a vector is missing."""
    item, row, _ = sample.slots
    for part in blocks(len(item), BLOCK_SLOTS):
        yield np.einsum("md,md->m", unit[item[part]], unit[sample.item[row[part]]])


def _pairs(sample: Sample, clicked: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Return the mean log odds of a click for (clicked code, target code), less the target's."""
    _, row, _ = sample.slots
    pair, value = clicked * size + target, np.empty(len(target))
    for scored, learned in sample.folds():
        here, there = learned[row], scored[row]
        click = sample.click[row[here]]
        shown = np.bincount(target[here], minlength=size)
        rate = np.bincount(target[here], click, size) + PAIR_PRIOR * sample.mean
        expected = np.tile(rate / (shown + PAIR_PRIOR), size)  # (size * size,)
        shown = np.bincount(pair[here], minlength=size * size)
        rate = np.bincount(pair[here], click, size * size) + PAIR_PRIOR * expected
        odds = log_odds(rate / (shown + PAIR_PRIOR)) - log_odds(expected)
        value[there] = odds[pair[there]]
    return sample.pooled(value)


def _reduced(unit: np.ndarray, fitting: np.ndarray) -> np.ndarray:
    """Return the vectors in their main directions, (V, d) float32; zero without a vector."""
    sampled = unit[fitting]
    mean = sampled.mean(axis=0)
    size, directions = np.linalg.eigh((sampled - mean).T @ (sampled - mean) / len(sampled))
    kept = slice(-min(DIRECTIONS, len(size)), None)
    reduced = (unit - mean) @ directions[:, kept]
    reduced[~unit.any(axis=1)] = 0
    return reduced / max(float(np.sqrt(size[kept].mean())), 1e-6)


def _frequent(values: np.ndarray, shown: np.ndarray, size: int) -> np.ndarray:
    """Return (V,) the group of each item: one per frequent value, and 0 for all others.

    Args:
        values: (V,) int, below `size`.
        shown: (n,) int, the values of the targets.
        size: The number of values.
    """
    frequent = np.argsort(-np.bincount(shown, minlength=size), kind="stable")[:FIELD_VALUES]
    group = np.zeros(size, np.int64)
    group[frequent] = np.arange(1, len(frequent) + 1)
    return group[values]


def _ridge(sample: Sample, columns: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
    """Return the scores of the penalty with the best correlation on `train`, (n,).

    Args:
        sample: The impressions.
        columns: (n, F) what the scores are linear in.
        group: (n,) int; each group has weights of its own. None: all have the same.
    """
    click, train = sample.click - sample.mean, sample.fold != VALID
    group = np.zeros(len(click), np.int64) if group is None else group
    order, limits = np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))
    fitted = []  # the rows to score, and what their weights are solved from
    for rows in np.split(order, limits[:-1]):
        for scored, learned in sample.folds():
            own = rows[learned[rows]]
            chosen = columns[own]
            fitted.append((rows[scored[rows]], chosen.T @ chosen, chosen.T @ click[own]))
    best, kept = -np.inf, np.zeros(len(columns))
    for penalty in PENALTIES:
        score = np.empty(len(columns))
        for scored, square, moment in fitted:
            weights = np.linalg.solve(square + penalty * np.eye(len(square)), moment)
            score[scored] = columns[scored] @ weights
        deviation = float(score[train].std())
        covariance = float(np.mean((score[train] - score[train].mean()) * click[train]))
        if deviation > 0 and covariance / deviation > best:
            best, kept = covariance / deviation, score
    return kept
