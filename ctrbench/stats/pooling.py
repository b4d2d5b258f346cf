"""How much differences vary from seed to seed: known from few seeds, better from several arms."""

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

ONE_ITEM = 1 + 1e-6  # effective number of items up to which one item holds all weight
SMALLEST_DEGREES = 1e-6  # of freedom, of a part that is cut off at 0
UNLIKE = 0.05  # p of Bartlett's test, below which variances are not pooled
PRIOR_DEGREES = 0.5  # of freedom that the other kinds of a class are worth, see `_moderated`


@dataclass(frozen=True)
class Seeds:
    """What is known of how much a difference varies from seed to seed."""

    variance: float  # of one seed's difference, the sampling of users included
    degrees: float  # of freedom with which it is known; 0: a single seed
    pooled: int  # comparisons that it was taken from


def variances(contrasts: Sequence[Contrast], beside: Sequence[Contrast] = ()) -> list[Variance]:
    """Return the variance of each mean difference, `V_user + V_item + s2_seed / S`.

    The interaction of users and seeds stands in both estimates. It is taken out of the users',
    which many users make precise, and the rest is cut off at 0: the seeds' is known from a handful
    of seeds, and cut off there it would mostly err to one side (Hillis 2007, Statistics in
    Medicine 26, of readers and cases: our seeds and users).

    Args:
        contrasts: the differences.
        beside: further differences of the same metric, which inform the variance over seeds only.
    """
    found: list[Variance] = []
    pooled = pooled_seeds([*contrasts, *beside])[: len(contrasts)]
    for contrast, seeds in zip(contrasts, pooled, strict=True):
        moved, degrees, count = user_variance(contrast), user_degrees(contrast), len(contrast.seeds)
        if not seeds.degrees:
            found.append(_with_items(Variance(moved, degrees, 0.0, 0.0), contrast))
            continue
        of_users = max(moved - interaction_variance(contrast) / count, 0.0)
        if moved > 0:  # as far from the truth as before, on a smaller number
            degrees *= (of_users / moved) ** 2
        known = Variance(of_users, degrees, seeds.variance / count, seeds.degrees)
        found.append(_with_items(known, contrast))
    return found


def _with_items(known: Variance, contrast: Contrast) -> Variance:
    """The variance with the part that items have in it.

    The cross-user term falls short by a share `item_pull` of users and items together, which is
    made up for. As an estimate it can be negative, and so could the sum be. It is cut off at 0 (the
    correction that keeps the matrix of variances positive semi-definite, for a single difference).
    Where one item is all there is, nothing is known of other items.
    """
    if contrast.items is None or contrast.items_worth <= ONE_ITEM:
        return known
    apart = item_interaction_variance(contrast) / len(contrast.seeds)
    pull = item_pull(contrast)
    cross = item_variance(contrast) - apart
    of_items = max((cross + pull * known.users) / (1 - pull), 0.0)
    clustered = float(np.sum(contrast.items.mean(axis=0) ** 2)) / (1 - pull)
    degrees = item_degrees(contrast)
    if clustered > 0:  # as far from the truth as before, on a smaller number
        degrees = max(degrees * (of_items / clustered) ** 2, SMALLEST_DEGREES)
    return replace(known, items=of_items, item_degrees=degrees, with_items=True)


def pooled_seeds(contrasts: Sequence[Contrast]) -> list[Seeds]:
    """Return each contrast's variance over seeds, pooled within its kind, moderated by its class.

    Pools contrasts of one kind over the same seeds that pass Bartlett's test; one of a single seed
    borrows what its kind says. Kinds are not pooled: in a matrix these are the modes, against the
    baseline and against siblings. A handful of seeds cannot tell a variance from its fourfold, and
    a noisy mode pooled with quiet ones raises far too many false alarms. Kinds of one class inform
    each other weakly, see `_moderated`.
    """
    found = [_own(contrast) for contrast in contrasts]
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for place, contrast in enumerate(contrasts):
        if contrast.kind:
            groups.setdefault((contrast.kind, contrast.seeds), []).append(place)
    for (_, seeds), places in groups.items():
        if len(seeds) > 1 and len(places) > 1:
            together = [contrasts[place] for place in places]
            if _alike(together):
                shared = _shared(together)
                for place in places:
                    found[place] = shared
    found = _moderated(contrasts, found)
    return [
        _borrowed(one, contrasts, found) if not own.degrees else own
        for one, own in zip(contrasts, found, strict=True)
    ]


def _moderated(contrasts: Sequence[Contrast], found: Sequence[Seeds]) -> list[Seeds]:
    """Return variances drawn towards the mean over the kinds of their class.

    s2' = (d0 s20 + d s2) / (d0 + d) on d0 + d degrees of freedom, where s20 is the mean variance of
    the class's kinds (two at least) and d0 is `PRIOR_DEGREES`.

    Source: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3, equation 2.
    Differs from it in two ways: d0 is fixed and small, and s20 is the arithmetic mean. Estimated
    from a handful of kinds, d0 is often infinite, and one mode in three with nine times the
    variance of the others then raises 12 to 20 % false alarms at three seeds. The arithmetic mean
    errs to the safe side where kinds differ. benchmarks/calibration/README.md has the numbers.
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
    """What its kind says of one seed's difference, for a contrast that has no more than one."""
    kind = [
        seeds
        for other, seeds in zip(contrasts, found, strict=True)
        if contrast.kind and other.kind == contrast.kind
    ]
    return max(kind, key=lambda seeds: seeds.degrees, default=_own(contrast))


def seed_correlation(contrasts: Sequence[Contrast]) -> np.ndarray:
    """(m, m) how differences move together over seeds: 1 on the diagonal.

    One number for all pairs with a common reference, one for all with a common arm, 0 for the rest
    and for other seeds: a single pair of a handful of seeds says little.
    """
    correlation = np.eye(len(contrasts))
    together: dict[str, float] = {"reference": 0.0, "arm": 0.0}
    apart = dict(together)
    alike: list[tuple[str, np.ndarray, np.ndarray]] = []
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
            alike.append((name, np.array(places)[rows], np.array(places)[columns]))
    for name, rows, columns in alike:
        if apart[name] > 0:
            shared = np.clip(together[name] / apart[name], 0.0, 1.0)
            correlation[rows, columns] = correlation[columns, rows] = shared
    return correlation


def _same(names: Sequence[str]) -> np.ndarray:
    """(k, k) whether two names are the same."""
    _, code = np.unique(np.array(names), return_inverse=True)
    return code[:, None] == code


def _own(contrast: Contrast) -> Seeds:
    count = len(contrast.seeds)
    spread = float(contrast.delta.var(ddof=1)) if count > 1 else 0.0
    return Seeds(spread, count - 1, pooled=1)


def _alike(contrasts: Sequence[Contrast]) -> bool:
    """Whether variances of as many seeds pass Bartlett's test (Proc. R. Soc. A 160, 1937)."""
    variances = np.stack([contrast.delta for contrast in contrasts]).var(axis=1, ddof=1)
    if variances.min() <= 0:
        return False
    count, degrees = len(variances), len(contrasts[0].seeds) - 1
    statistic = count * degrees * float(np.log(variances.mean()) - np.log(variances).mean())
    scale = 1 + (count + 1) / (3 * count * degrees)
    return chi_squared_tail(count - 1, statistic / scale) > UNLIKE


def _shared(contrasts: Sequence[Contrast]) -> Seeds:
    """The mean variance; correlated ones say less than as many independent ones.

    A sample variance and another correlate as the square of what their samples do, so that the
    mean of m has (S - 1) / mean(r^2) degrees of freedom over all m x m pairs.
    """
    own = [_own(contrast) for contrast in contrasts]
    mean = float(np.mean([seeds.variance for seeds in own]))
    squares = float(np.mean(seed_correlation(contrasts) ** 2))
    return Seeds(mean, own[0].degrees / squares, pooled=len(own))
