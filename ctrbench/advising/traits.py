"""Traits of a log and a version that predict the gains of modes; no trait reads `test`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.advising.sample import HISTORY, PRIOR, VALID, Sample, draw
from ctrbench.advising.standins import (
    baseline_columns,
    bilinear_columns,
    code_columns,
    codes_of,
    paired_similarity_columns,
    similarity_columns,
)
from ctrbench.clustering import count_distinct
from ctrbench.errors import DataError
from ctrbench.impressions.periods import count_targets
from ctrbench.injection import Images
from ctrbench.metrics import Influence, auc, find, influences
from ctrbench.quality import nearest
from ctrbench.schema import EmbeddingTable, Impressions

SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000)  # of codebooks
FEWEST_PER_CODE = 4  # distinct vectors
FEWEST_USERS = 100  # effective number; with half of it, noise was predicted as a gain
TOP = 0.1  # share of the items whose impressions are the head
MOST_FITTED = 10_000  # items on which codebooks and directions are fitted
WIDTH = 64  # wider vectors are reduced to their main directions
MOST_SEARCHED = 5_000  # items whose neighbours are searched, and that main directions are fitted on


@dataclass(frozen=True)
class Traits:
    """Traits of a log and a version; gains are in GAUC over a regression without images."""

    impressions: int  # of train
    items: int  # with impressions in train
    head: float  # share of the impressions of train that show the tenth of the items shown most
    cold: float  # share of the impressions of valid that show an item without any in train
    clicks: float  # mean clicks of a history in valid, at most 50 each
    ctr: float  # of train
    coverage: float  # share of the impressions of valid whose item has a vector
    sim_auc: float  # of the mean cosine of target and clicked items, on valid
    agreement: float  # correlation of an item's click rate with that of its ten neighbours
    baseline: float  # GAUC of the regression without images
    similarity_pp: float  # gain with cosines: statistics, and weighted by pairs of field values
    bilinear_pp: float  # gain with a bilinear score of target and mean history
    codes_pp: dict[int, float]  # gain with codes of target and history, by codebook size
    # sampling covariance over users of the gains in this order, pp squared; empty: not known
    covariance: tuple[tuple[float, ...], ...] = ()

    @property
    def per_item(self) -> float:
        """The mean number of training impressions of an item."""
        return self.impressions / self.items


def measure(log: Impressions, table: EmbeddingTable, sizes: tuple[int, ...] = SIZES) -> Traits:
    """Return the traits of a log and a version.

    Args:
        log: The impressions.
        table: The vectors.
        sizes: Codebook sizes; those with fewer than four distinct vectors per code are left out.

    Raises:
        DataError: `train` or `valid` lacks clicks or non-clicks, too few users have both, or fewer
            than two items of `train` have a vector.
    """
    sample, has = draw(log), np.asarray(table.has_vector)
    unit = Images(table.vectors, has, has).unit()
    shown = count_targets(log, log.rows("train"))
    fitting = thinned(np.flatnonzero(has & (shown > 0)), MOST_FITTED)
    if len(fitting) < 2:
        raise DataError(
            "fewer than two items of the period train have a vector; a prediction requires the "
            "vectors of the items that were shown."
        )
    unit = _narrow(unit, fitting)
    baseline = baseline_columns(sample)
    plain = _gauc(sample, baseline)
    moved = []  # of the gains, by users
    similarity = similarity_columns(sample, unit)
    paired = paired_similarity_columns(sample, unit)

    def gain_pp(columns: np.ndarray) -> float:
        found = _gauc(sample, np.concatenate([baseline, columns], axis=1))
        moved.append(100 * (found.per_user - plain.per_user))
        return 100 * (found.value - plain.value)

    similarity_pp = gain_pp(np.concatenate([similarity, paired], axis=1))
    bilinear_pp = gain_pp(bilinear_columns(sample, unit, fitting))
    codes, distinct = {}, count_distinct(unit[fitting])
    for size in sizes:
        if size * FEWEST_PER_CODE <= distinct:
            columns = code_columns(sample, codes_of(unit, has, fitting, size), size + 1)
            codes[size] = gain_pp(columns)
    valid = sample.fold == VALID
    judged = valid if valid.any() else ~valid
    target = sample.item[judged]
    ordered = np.sort(shown[shown > 0])[::-1]
    return Traits(
        impressions=int(shown.sum()),
        items=len(ordered),
        head=float(ordered[: max(1, round(TOP * len(ordered)))].sum() / ordered.sum()),
        cold=float((shown[target] == 0).mean()),
        clicks=float(np.minimum(log.history_length[sample.rows[judged]], HISTORY).mean()),
        ctr=sample.mean,
        coverage=float(has[target].mean()),
        sim_auc=auc(sample.click[judged], similarity[judged, 0]),
        agreement=_agreement(sample, table, fitting),
        baseline=plain.value,
        similarity_pp=similarity_pp,
        bilinear_pp=bilinear_pp,
        codes_pp=codes,
        covariance=tuple(map(tuple, _covariance(np.stack(moved)).tolist())),
    )


def _covariance(moved: np.ndarray) -> np.ndarray:
    """Return the sampling covariance of values with these influences, (K, G) -> (K, K)."""
    users = moved.shape[1]
    return users / (users - 1) * moved @ moved.T


def _narrow(unit: np.ndarray, fitting: np.ndarray) -> np.ndarray:
    """Return (V, d) vectors of at most WIDTH whose products are nearly those of the given ones."""
    if unit.shape[1] <= WIDTH:
        return unit
    sampled = unit[thinned(fitting, MOST_SEARCHED)]
    directions = np.linalg.eigh(sampled.T @ sampled)[1]
    return unit @ directions[:, -WIDTH:]


def thinned(items: np.ndarray, most: int) -> np.ndarray:
    """Return every n-th item, so that at most `most` remain.

    Args:
        items: (n,) int.
        most: The largest number.

    >>> thinned(np.arange(5), 3).tolist()
    [0, 2, 4]
    """
    return items[:: max(1, -(-len(items) // most))]


def _gauc(sample: Sample, columns: np.ndarray) -> Influence:
    """Return the GAUC of a logistic regression that is fitted on `train`, with its influences."""
    from sklearn.linear_model import LogisticRegression

    train = sample.fold != VALID
    spread = columns[train].std(axis=0)
    scaled = (columns - columns[train].mean(axis=0)) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(solver="newton-cholesky").fit(scaled[train], sample.click[train])
    chosen = np.flatnonzero(sample.scored)
    rows = sample.rows[chosen]
    found = influences(
        sample.click[chosen],
        model.predict_proba(scaled[chosen])[:, 1],
        sample.log.user_id[rows],
        group_id=sample.log.group_id[rows],
        wanted=(find("gauc"),),
    )
    users = found["gauc"].effective_users if "gauc" in found else 0.0
    if users < FEWEST_USERS:
        raise DataError(
            f"data set {sample.log.manifest.name!r} is too small for a prediction: the later half "
            f"of train and valid have the information of {users:.0f} users with a click and a "
            f"non-click; {FEWEST_USERS} are required."
        )
    return found["gauc"]


def _agreement(sample: Sample, table: EmbeddingTable, fitting: np.ndarray) -> float:
    """Return the correlation, over items, of an item's click rate and its neighbours' mean."""
    train = sample.fold != VALID
    size = len(table.has_vector)
    shown = np.bincount(sample.item[train], minlength=size)
    clicked = np.bincount(sample.item[train], sample.click[train], size)
    rate = (clicked + PRIOR * sample.mean) / (shown + PRIOR)
    items = thinned(fitting, MOST_SEARCHED)
    near = nearest(table, items)
    mean = np.where(near >= 0, rate[near], np.nan)
    other = np.nanmean(mean, axis=1)
    if np.ptp(other) == 0 or np.ptp(rate[items]) == 0:
        return 0.0
    return float(np.corrcoef(rate[items], other)[0, 1])
