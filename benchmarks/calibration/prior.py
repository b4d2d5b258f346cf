"""How much may the seed variances of different modes inform each other, and is the total right?

`python benchmarks/calibration/prior.py` writes results/tables/calibration_prior.md: false alarms of
a mode that varies three times as much as the others, and the width of three seeds, for several
strengths of the prior; and the mean estimated over the true variance with few and with many items.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from logs import draw_arm, draw_log, measure
from simulate import DESIGNS, _contrast
from tables import FOLDER

from ctrbench.seeding import stream
from ctrbench.stats import Contrast, pooling
from ctrbench.stats.student import reach

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
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=3_000)
    parser.add_argument("--output", type=Path, default=FOLDER)
    given = parser.parse_args()
    told = [
        f"Seed variances alone: {MODES} modes, a version and a shuffled sibling each, "
        f"{given.replicates:,} replicates. Noisy: false alarms (nominal 5 %) of a mode whose seeds "
        f"vary {NOISIER:g} times as much as the others', three seeds. Width: mean half-width with "
        "three seeds over sqrt(10 / 3) times that with ten, all modes alike. Made by "
        "`benchmarks/calibration/prior.py`; do not edit.",
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
        told.append(f"| {' | '.join(f'{mark}{place}{mark}' for place in row)} |")
    pooling.PRIOR_DEGREES = usual
    told += [
        "",
        "Mean estimated variance over the true one (the variance of estimates over replicates).",
        "",
        "| design | GAUC | AUC |",
        "|---|---:|---:|",
    ]
    for name in ITEM_DESIGNS:
        ratio = _total(name, given.replicates // 3)
        told.append(f"| {name} | {ratio['gauc']:.2f} | {ratio['auc']:.2f} |")
    path = given.output / "calibration_prior.md"
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    print(path.read_text("utf-8"))


def _contrasts(seeds: int, noisier: float, rng: np.random.Generator) -> list[Contrast]:
    """Each mode's version and sibling against the baseline, then each version against its sibling.

    Users say nothing here: all influence values are 0.
    """
    spread = np.ones(MODES)
    spread[0] = noisier
    baseline = rng.normal(size=seeds)
    version, sibling = (rng.normal(size=(MODES, seeds)) * spread[:, None] for _ in range(2))
    nothing, names = np.zeros((seeds, 2)), tuple(range(seeds))
    found = []
    for against, deltas in (("baseline", version - baseline), ("baseline", sibling - baseline)):
        for mode, delta in enumerate(deltas):
            kind, arm = f"{mode} against {against}", f"{len(found)}"
            found.append(Contrast(names, delta, nothing, arm, against, kind, against=against))
    for mode, delta in enumerate(version - sibling):
        kind = f"{mode} against sibling"
        found.append(
            Contrast(names, delta, nothing, f"{mode}", f"s{mode}", kind, against="sibling")
        )
    return found


def _alarms(replicates: int) -> np.ndarray:
    """How often the noisy mode is called different, against the baseline and its sibling."""
    rng, count = stream(0, "calibration", "prior"), np.zeros(2)
    for _ in range(replicates):
        contrasts = _contrasts(3, NOISIER, rng)
        spreads = pooling.variances(contrasts)
        for place, index in enumerate((0, 2 * MODES)):
            count[place] += abs(contrasts[index].estimate) > reach(0.05, spreads[index])
    return count / replicates


def _widths(seeds: int, replicates: int) -> np.ndarray:
    """Mean half-widths against the baseline and against siblings, all modes alike."""
    rng, total = stream(0, "calibration", "prior", "widths"), np.zeros(2)
    for _ in range(replicates):
        spreads = pooling.variances(_contrasts(seeds, 1.0, rng))
        for place, index in enumerate((0, 2 * MODES)):
            total[place] += reach(0.05, spreads[index])
    return total / replicates


def _total(name: str, replicates: int) -> dict[str, float]:
    """Mean estimated over true variance of a comparison of equals, by metric."""
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
