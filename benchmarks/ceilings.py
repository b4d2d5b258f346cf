"""Prints the attainable GAUC of each world and strength: `python -m benchmarks.ceilings`.

It compares the true click probability with its mean over styles and trains no model. The default
strength of the worlds was chosen from this table.
"""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np

from ctrbench.metrics import gauc
from data_synth.clicks import make_log
from data_synth.world import KINDS, WorldConfig, make_world

SEEDS = range(10)
STRENGTHS = (0, 0.2, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0)


def main() -> None:
    """Print the table in Markdown."""
    print("| world | strength | without style | with style | gain (pp) | its standard deviation |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for strength in STRENGTHS:
        print(_line("taste", strength))
    for kind in KINDS:
        if kind != "taste":
            print(_line(kind, None))


def _line(kind: str, strength: float | None) -> str:
    found = np.array([_ceilings(WorldConfig(kind, strength=strength, seed=s)) for s in SEEDS])
    without, with_style = 100 * found.T
    shown = WorldConfig(kind, strength=strength).style_strength
    gain = (with_style - without).tolist()
    return (
        f"| {kind} | {shown:g} | {fmean(without):.2f} | {fmean(with_style):.2f} "
        f"| {fmean(gain):+.2f} | {stdev(gain):.2f} |"
    )


def _ceilings(config: WorldConfig) -> tuple[float, float]:
    """Return GAUC on the last fifth of the log without and with style."""
    log = make_log(make_world(config))
    test = log.take(slice(round(0.8 * len(log)), None))
    without = gauc(test.click, test.p_without_style, test.user)
    return without, gauc(test.click, test.p_true, test.user)


if __name__ == "__main__":
    main()
