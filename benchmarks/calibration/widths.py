"""Compares half-widths of intervals with three and with ten seeds, in a matrix of three modes.

`python -m benchmarks.calibration.widths` simulates logs and models as `simulate` does, in a matrix
of three modes with one version and its shuffled sibling each. It writes
results/tables/calibration_widths.md: the mean half-width with three seeds divided by that with ten,
which is sqrt(10 / 3) where all variance is due to seeds. Seed variances are those of each mode
alone, pooled within kinds, or as tables use them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.calibration.logs import Design, MeasuredArm, draw_arm, draw_log, measure
from benchmarks.shared import TABLES, write_table
from ctrbench.seeding import stream
from ctrbench.stats import Contrast
from ctrbench.stats.pooling import variances
from ctrbench.stats.student import SIGNIFICANCE, half_width

METRICS = ("gauc", "auc")
FEW, MANY = 3, 10
MODES = 3
DESIGNS = (
    Design("plain", seeds=MANY),
    Design("strong seed noise", seeds=MANY, seed_sd=1),
    Design("one mode is noisier", seeds=MANY, noisy_mode=3),
)
METHODS: dict[str, Callable[[Contrast], Contrast]] = {
    "own seeds alone": lambda contrast: replace(contrast, kind="", against=""),
    "pooled within kinds": lambda contrast: replace(contrast, against=""),
    "as shown": lambda contrast: contrast,
}
HEAD = (
    "Mean half-width of 95 % intervals with three seeds over that with ten, and in parentheses the "
    "same over sqrt(10 / 3) times that with ten (seeds alone). Three modes with one version and "
    "its shuffled sibling each; of the noisier mode and the others. Made by "
    "`benchmarks/calibration/widths.py`; do not edit."
)


def main() -> None:
    """Simulate the designs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--output", type=Path, default=TABLES)
    given = parser.parse_args()
    lines = [
        f"{HEAD} {given.replicates:,} replicates.",
        "",
        f"| design | metric | against | modes | share of seeds | {' | '.join(METHODS)} |",
        f"|---|---|---|---|---:|{'---:|' * len(METHODS)}",
    ]
    for design in DESIGNS:
        lines += rows(design, given.replicates)
    write_table("calibration_widths.md", "\n".join(lines), given.output)


def rows(design: Design, replicates: int) -> list[str]:
    """Return the rows of one design.

    Args:
        design: The design.
        replicates: The number of replicates.
    """
    rng = stream(0, "calibration", "widths", design.name)
    found: dict[tuple[str, str, bool], list] = {}
    for _ in range(replicates):
        for metric, contrasts in _matrix(design, rng).items():
            cut = [_cut(contrast) for contrast in contrasts]
            half = {
                (method, seeds): _half_widths([change(one) for one in these])
                for method, change in METHODS.items()
                for seeds, these in ((FEW, cut), (MANY, contrasts))
            }
            shares = [one.seeds / one.total for one in variances(contrasts)]
            for place, contrast in enumerate(contrasts):
                noisy = design.noisy_mode != 1 and contrast.kind.startswith("mode 0")
                found.setdefault((metric, contrast.against, noisy), []).append(
                    (shares[place], {key: values[place] for key, values in half.items()})
                )
    return [_line(design, *key, values) for key, values in sorted(found.items())]


def _line(design: Design, metric: str, against: str, noisy: bool, values: list) -> str:
    which = "all" if design.noisy_mode == 1 else "the noisier" if noisy else "the others"
    ratios = []
    for method in METHODS:
        few, many = (np.mean([half[method, seeds] for _, half in values]) for seeds in (FEW, MANY))
        ratios.append(f"{few / many:.2f} ({few / many / (MANY / FEW) ** 0.5:.2f})")
    share = 100 * np.mean([share for share, _ in values])
    return (
        f"| {design.name} | {metric} | {against} | {which} | {share:.0f} % | {' | '.join(ratios)} |"
    )


def _matrix(design: Design, rng: np.random.Generator) -> dict[str, list[Contrast]]:
    """Return by metric the contrasts with the baseline, then those of versions with siblings."""
    log = draw_log(design, rng)
    noise = [design.noisy_mode, *[1.0] * (MODES - 1)]
    baseline = measure(log, draw_arm(design, log, rng))
    versions, siblings = (
        [measure(log, draw_arm(design, log, rng, noise=of_mode)) for of_mode in noise]
        for _ in range(2)
    )
    return {
        metric: [
            *(
                _contrast(one[metric], baseline[metric], f"{kind} {mode}", mode, "baseline")
                for kind, arms in (("version", versions), ("sibling", siblings))
                for mode, one in enumerate(arms)
            ),
            *(
                _contrast(one[metric], other[metric], f"version {mode}", mode, "sibling")
                for mode, (one, other) in enumerate(zip(versions, siblings, strict=True))
            ),
        ]
        for metric in METRICS
    }


def _contrast(
    ours: MeasuredArm, theirs: MeasuredArm, name: str, mode: int, against: str
) -> Contrast:
    return Contrast(
        tuple(range(len(ours.value))),
        ours.value - theirs.value,
        ours.per_user - theirs.per_user,
        name,
        "baseline" if against == "baseline" else f"sibling {mode}",
        f"mode {mode} against {against}",
        ours.effective_users,
        ours.items - theirs.items,
        ours.pairs - theirs.pairs,
        ours.effective_items,
        against,
    )


def _cut(contrast: Contrast) -> Contrast:
    """Return the contrast of the first seeds."""
    parts = {
        name: getattr(contrast, name)[:FEW]
        for name in ("seeds", "delta", "influence", "items", "pairs")
    }
    return replace(contrast, **parts)


def _half_widths(contrasts: list[Contrast]) -> list[float]:
    return [half_width(SIGNIFICANCE, spread) for spread in variances(contrasts)]


if __name__ == "__main__":
    main()
