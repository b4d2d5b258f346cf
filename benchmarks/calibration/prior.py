"""Compares strengths of the prior on seed variances, and estimated with true variances.

`python -m benchmarks.calibration.prior` writes results/tables/calibration_prior.md. For several
strengths of the prior, it shows the half-width with three seeds and the false alarm rate of a mode
whose seeds vary three times as much as those of the others. It also shows the mean estimated
variance divided by the true variance, with few and with many items.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.calibration.logs import draw_arm, draw_log, measure
from benchmarks.calibration.simulate import DESIGNS, _contrast
from benchmarks.shared import TABLES, write_table
from ctrbench.seeding import stream
from ctrbench.stats import Contrast, pooling
from ctrbench.stats.student import half_width

STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0)
NOISIER = 3.0
MODES = 3
ITEM_DESIGNS = tuple(
    f"{effects}, {items} items"
    for items in (30, 300)
    for effects in ("no item effects", "item effects redrawn")
)
HEAD = ("prior degrees", "noisy, baseline", "noisy, sibling", "width, baseline", "width, sibling")


def main() -> None:
    """Simulate and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=3_000)
    parser.add_argument("--output", type=Path, default=TABLES)
    given = parser.parse_args()
    lines = [
        f"Seed variances alone: {MODES} modes, a version and a shuffled sibling each, "
        f"{given.replicates:,} replicates. Noisy: false alarms (nominal 5 %) of a mode whose seeds "
        f"vary {NOISIER:g} times as much as the others', three seeds. Width: mean half-width with "
        "three seeds over sqrt(10 / 3) times that with ten, if all modes have equal variance. Made "
        "by `benchmarks/calibration/prior.py`; do not edit.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---:|---:|---:|---:|---:|",
    ]
    usual = pooling.PRIOR_DEGREES
    for strength in STRENGTHS:
        pooling.PRIOR_DEGREES = strength
        alarms = _alarms(given.replicates)
        few, many = (_widths(seeds, given.replicates // 2) for seeds in (3, 10))
        ratios = few / many / np.sqrt(10 / 3)
        mark = "**" if strength == usual else ""
        row = f"{strength:g}", *(f"{100 * one:.1f} %" for one in alarms)
        row = *row, *(f"{one:.2f}" for one in ratios)
        lines.append(f"| {' | '.join(f'{mark}{place}{mark}' for place in row)} |")
    pooling.PRIOR_DEGREES = usual
    lines += [
        "",
        "Mean estimated variance over the true variance (that of the estimates over replicates).",
        "",
        "| design | GAUC | AUC |",
        "|---|---:|---:|",
    ]
    for name in ITEM_DESIGNS:
        ratio = _total(name, given.replicates // 3)
        lines.append(f"| {name} | {ratio['gauc']:.2f} | {ratio['auc']:.2f} |")
    write_table("calibration_prior.md", "\n".join(lines), given.output)


def _contrasts(seeds: int, noisier: float, rng: np.random.Generator) -> list[Contrast]:
    """Return the contrasts of all modes without user variance: all influence values are 0.

    Versions against the baseline come first, then siblings against the baseline, then versions
    against their siblings.
    """
    spread = np.ones(MODES)
    spread[0] = noisier
    baseline = rng.normal(size=seeds)
    version, sibling = (rng.normal(size=(MODES, seeds)) * spread[:, None] for _ in range(2))
    no_influence, names = np.zeros((seeds, 2)), tuple(range(seeds))
    found = []
    for against, deltas in (("baseline", version - baseline), ("baseline", sibling - baseline)):
        for mode, delta in enumerate(deltas):
            kind, arm = f"{mode} against {against}", f"{len(found)}"
            found.append(Contrast(names, delta, no_influence, arm, against, kind, against=against))
    for mode, delta in enumerate(version - sibling):
        kind = f"{mode} against sibling"
        found.append(
            Contrast(names, delta, no_influence, f"{mode}", f"s{mode}", kind, against="sibling")
        )
    return found


def _alarms(replicates: int) -> np.ndarray:
    """Return the false alarm rates of the noisy mode against the baseline and its sibling."""
    rng, count = stream(0, "calibration", "prior"), np.zeros(2)
    for _ in range(replicates):
        contrasts = _contrasts(3, NOISIER, rng)
        spreads = pooling.variances(contrasts)
        for place, index in enumerate((0, 2 * MODES)):
            count[place] += abs(contrasts[index].estimate) > half_width(0.05, spreads[index])
    return count / replicates


def _widths(seeds: int, replicates: int) -> np.ndarray:
    """Return mean half-widths against the baseline and siblings, for equally noisy modes."""
    rng, total = stream(0, "calibration", "prior", "widths"), np.zeros(2)
    for _ in range(replicates):
        spreads = pooling.variances(_contrasts(seeds, 1.0, rng))
        for place, index in enumerate((0, 2 * MODES)):
            total[place] += half_width(0.05, spreads[index])
    return total / replicates


def _total(name: str, replicates: int) -> dict[str, float]:
    """Return the mean estimated variance over the true variance of a null comparison, by metric."""
    design = next(one for one in DESIGNS if one.name == name)
    rng = stream(0, "calibration", "total", name)
    drawn: dict[str, list[tuple[float, float]]] = {"gauc": [], "auc": []}
    for _ in range(replicates):
        log = draw_log(design, rng)
        baseline, arm = (measure(log, draw_arm(design, log, rng)) for _ in range(2))
        for metric, found in drawn.items():
            contrast = _contrast(metric, baseline, "baseline", [arm], 0)
            (spread,) = pooling.variances([contrast])
            found.append((contrast.estimate, spread.total))
    return {
        metric: float(np.mean([total for _, total in found]) / np.var([one for one, _ in found]))
        for metric, found in drawn.items()
    }


if __name__ == "__main__":
    main()
