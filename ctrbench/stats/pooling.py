"""The variance of differences over seeds, pooled over arms because seeds are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctrbench.stats.contrast import (
    Contrast,
    Variance,
    interaction_variance,
    item_degrees,
    item_interaction_variance,
    item_pull,
    item_variance,
    user_degrees,
    user_variance,
)
from ctrbench.stats.distributions import chi_squared_tail

ONE_ITEM = 1 + 1e-6  # effective number of items at which one item holds all weight
SMALLEST_DEGREES = 1e-6  # degrees of freedom of a variance that is truncated at 0
UNLIKE = 0.05  # variances with a smaller p-value in Bartlett's test are not pooled
PRIOR_DEGREES = 0.5  # degrees of freedom of the prior from other kinds, see `_moderated`


@dataclass(frozen=True)
class Seeds:
    """An estimate of the variance of a difference over seeds."""

    variance: float  # of one seed's difference, including the user-seed interaction
    degrees: float  # degrees of freedom; 0 for a single seed
    pooled: int  # number of contrasts it was estimated from


def variances(contrasts: Sequence[Contrast], auxiliary: Sequence[Contrast] = ()) -> list[Variance]:
    """Return the variance of each mean difference, `V_user + V_item + s2_seed / S`.

    Both estimates contain the interaction of users and seeds. It is subtracted from the user part,
    which many users make precise, and the result is truncated at 0. Truncating the imprecise seed
    part instead would bias it upwards.

    Args:
        contrasts: The differences.
        auxiliary: Further differences of the same metric, which only inform the seed variance.

    Source: Hillis 2007, Statistics in Medicine 26; its readers and cases are our seeds and users.
    """
    found: list[Variance] = []
    pooled = pooled_seeds([*contrasts, *auxiliary])[: len(contrasts)]
    for contrast, seeds in zip(contrasts, pooled, strict=True):
        moved, degrees, count = user_variance(contrast), user_degrees(contrast), len(contrast.seeds)
        if not seeds.degrees:
            found.append(_with_items(Variance(moved, degrees, 0.0, 0.0), contrast))
            continue
        of_users = max(moved - interaction_variance(contrast) / count, 0.0)
        if moved > 0:  # the same absolute error on a smaller estimate
            degrees *= (of_users / moved) ** 2
        known = Variance(of_users, degrees, seeds.variance / count, seeds.degrees)
        found.append(_with_items(known, contrast))
    return found


def _with_items(known: Variance, contrast: Contrast) -> Variance:
    """Return the variance with its item part.

    The cross-user term underestimates users and items together by the share `item_pull`, which is
    corrected. The estimate may be negative and is truncated at 0, as in the correction that makes a
    clustered covariance matrix positive semi-definite. A test set of one item has no estimate of
    item variance.
    """
    if contrast.items is None or contrast.effective_items <= ONE_ITEM:
        return known
    apart = item_interaction_variance(contrast) / len(contrast.seeds)
    pull = item_pull(contrast)
    cross = item_variance(contrast) - apart
    of_items = max((cross + pull * known.users) / (1 - pull), 0.0)
    clustered = float(np.sum(contrast.items.mean(axis=0) ** 2)) / (1 - pull)
    degrees = item_degrees(contrast)
    if clustered > 0:  # the same absolute error on a smaller estimate
        degrees = max(degrees * (of_items / clustered) ** 2, SMALLEST_DEGREES)
    return replace(known, items=of_items, item_degrees=degrees, with_items=True)


def pooled_seeds(contrasts: Sequence[Contrast]) -> list[Seeds]:
    """Return each contrast's variance over seeds, pooled within its kind, moderated by its class.

    Contrasts of one kind on the same seeds are pooled if they pass Bartlett's test. A contrast of a
    single seed takes the estimate of its kind. In a matrix a kind is a mode, against the baseline
    or against siblings. Different kinds are not pooled: a handful of seeds cannot distinguish a
    variance from four times that variance, and a noisy mode pooled with quiet ones has far too many
    false alarms. Kinds of one class inform each other weakly, see `_moderated`.
    """
    found = [_own(contrast) for contrast in contrasts]
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, contrast in enumerate(contrasts):
        if contrast.kind:
            groups.setdefault((contrast.kind, contrast.seeds), []).append(place)
    for (_, seeds), places in groups.items():
        if len(seeds) > 1 and len(places) > 1:
            together = [contrasts[place] for place in places]
            if _equal_variances(together):
                shared = _shared(together)
                for place in places:
                    found[place] = shared
    found = _moderated(contrasts, found)
    return [
        _borrowed(one, contrasts, found) if not own.degrees else own
        for one, own in zip(contrasts, found, strict=True)
    ]


def _moderated(contrasts: Sequence[Contrast], found: Sequence[Seeds]) -> list[Seeds]:
    """Return variances shrunk towards the mean over the kinds of their class.

    s2' = (d0 s20 + d s2) / (d0 + d) on d0 + d degrees of freedom, where s20 is the mean variance of
    the class's kinds (at least two) and d0 is `PRIOR_DEGREES`.

    Source: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3, equation 2.
    Differs from it in two ways: d0 is fixed and small, and s20 is the arithmetic mean. Estimated
    from a handful of kinds, d0 is often infinite, and one mode in three with nine times the
    variance of the others then has 12 to 20 % false alarms at three seeds. The arithmetic mean is
    conservative where kinds differ. benchmarks/calibration/README.md has the numbers.
    """
    classes: dict[tuple[str, tuple[int, ...]], dict[str, list[int]]] = {}
    for place, contrast in enumerate(contrasts):
        if contrast.against and found[place].degrees and found[place].variance:
            kinds = classes.setdefault((contrast.against, contrast.seeds), {})
            kinds.setdefault(contrast.kind, []).append(place)
    moderated = list(found)
    for kinds in classes.values():
        if len(kinds) < 2:
            continue
        of_kind = [np.mean([found[place].variance for place in own]) for own in kinds.values()]
        prior = float(np.mean(of_kind))
        for place in (place for own in kinds.values() for place in own):
            one = found[place]
            degrees = PRIOR_DEGREES + one.degrees
            variance = (PRIOR_DEGREES * prior + one.degrees * one.variance) / degrees
            moderated[place] = Seeds(variance, degrees, one.pooled)
    return moderated


def _borrowed(contrast: Contrast, contrasts: Sequence[Contrast], found: Sequence[Seeds]) -> Seeds:
    """Return the most precise estimate of its kind, for a contrast of a single seed."""
    kind = [
        seeds
        for other, seeds in zip(contrasts, found, strict=True)
        if contrast.kind and other.kind == contrast.kind
    ]
    return max(kind, key=lambda seeds: seeds.degrees, default=_own(contrast))


def seed_correlation(contrasts: Sequence[Contrast]) -> np.ndarray:
    """Return the (m, m) correlation of differences over seeds, with 1 on the diagonal.

    All pairs with a common reference share one estimate, and all pairs with a common arm share
    another, because a single pair on a handful of seeds is imprecise. Other pairs, and pairs on
    different seeds, have correlation 0.
    """
    correlation = np.eye(len(contrasts))
    together: dict[str, float] = {"reference": 0.0, "arm": 0.0}
    apart = dict(together)
    places_of_pairs: list[tuple[str, np.ndarray, np.ndarray]] = []
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, contrast in enumerate(contrasts):
        groups.setdefault(contrast.seeds, []).append(place)
    for seeds, places in groups.items():
        if len(seeds) < 2 or len(places) < 2:
            continue
        own = [contrasts[place] for place in places]
        covariance = np.cov(np.stack([contrast.delta for contrast in own]))  # (k, k)
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        same_reference = _same([contrast.reference for contrast in own])
        same_arm = _same([contrast.arm for contrast in own]) & ~same_reference
        for name, same in (("reference", same_reference), ("arm", same_arm)):
            rows, columns = np.nonzero(np.tril(same, -1))
            together[name] += float(covariance[rows, columns].sum())
            apart[name] += float(scale[rows, columns].sum())
            places_of_pairs.append((name, np.array(places)[rows], np.array(places)[columns]))
    for name, rows, columns in places_of_pairs:
        if apart[name] > 0:
            shared = np.clip(together[name] / apart[name], 0.0, 1.0)
            correlation[rows, columns] = correlation[columns, rows] = shared
    return correlation


def _same(names: Sequence[str]) -> np.ndarray:
    """Return a (k, k) matrix that states whether two names are equal."""
    _, code = np.unique(np.array(names), return_inverse=True)
    return code[:, None] == code


def _own(contrast: Contrast) -> Seeds:
    count = len(contrast.seeds)
    spread = float(contrast.delta.var(ddof=1)) if count > 1 else 0.0
    return Seeds(spread, count - 1, pooled=1)


def _equal_variances(contrasts: Sequence[Contrast]) -> bool:
    """Return whether variances pass Bartlett's test (Proc. R. Soc. A 160, 1937)."""
    variances = np.stack([contrast.delta for contrast in contrasts]).var(axis=1, ddof=1)
    if variances.min() <= 0:
        return False
    count, degrees = len(variances), len(contrasts[0].seeds) - 1
    statistic = count * degrees * float(np.log(variances.mean()) - np.log(variances).mean())
    scale = 1 + (count + 1) / (3 * count * degrees)
    return chi_squared_tail(count - 1, statistic / scale) > UNLIKE


def _shared(contrasts: Sequence[Contrast]) -> Seeds:
    """Return the mean variance; correlated variances give fewer degrees of freedom.

    Two sample variances correlate as the square of the correlation r of their samples. The mean of
    m of them has (S - 1) / mean(r^2) degrees of freedom, with the mean over all m x m pairs.
    """
    own = [_own(contrast) for contrast in contrasts]
    mean = float(np.mean([seeds.variance for seeds in own]))
    squares = float(np.mean(seed_correlation(contrasts) ** 2))
    return Seeds(mean, own[0].degrees / squares, pooled=len(own))
