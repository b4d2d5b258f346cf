"""Do our DIN and FuxiCTR's reach the same AUC and GAUC? Two one-sided tests over seeds.

`python benchmarks/speed/parity.py --root DIR` trains both on one log, the same sizes and optimiser,
one epoch, `--seeds` seeds each, and writes results/tables/speed_parity.md and .json. Seeds of the
two libraries have nothing in common, so the means are compared by Welch's test; equivalent: the
90 % interval of the difference lies within the margin on both sides.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy import stats
from training import AT_ONCE, TABLES, prepared_root, train_at_once
from watching import machine
from work import Work

MARGIN = 0.0005
SIDES = ("ctrbench", "fuxictr")
METRICS = ("auc", "gauc")


def main() -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of everything")
    parser.add_argument("--impressions", type=int, default=Work.impressions)
    parser.add_argument("--items", type=int, default=Work.items)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    work = Work(impressions=given.impressions, items=given.items)
    root, name = prepared_root(given.root, work)
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for seed in range(0, given.seeds, AT_ONCE):
        for side in SIDES:
            found[side] += train_at_once(side, "none", root, name, seed)
            latest = found[side][-1]
            print(f"{side}, seed {seed}: AUC {latest['auc']:.4f}, GAUC {latest['gauc']:.4f}")
    (TABLES / "speed_parity.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    lines = [
        f"{work.impressions:,} training impressions of {work.items:,} items, one epoch, "
        f"{given.seeds} seeds each; mean ± standard deviation over seeds. Difference: ctrbench "
        f"minus FuxiCTR with its 90 % interval (Welch); equivalent: within {MARGIN} either way, "
        "p of two one-sided tests.",
        "",
        f"{date.today()}, {machine()}. Made by `benchmarks/speed/parity.py`; do not edit.",
        "",
        "| metric | ctrbench | FuxiCTR | difference | p | equivalent |",
        "|---|---:|---:|---:|---:|---|",
        *(_row(metric, found) for metric in METRICS),
    ]
    text = "\n".join(lines) + "\n"
    (TABLES / "speed_parity.md").write_text(text, encoding="utf-8")
    print(text)


def _row(metric: str, found: dict[str, list[dict[str, Any]]]) -> str:
    ours, theirs = ([one[metric] for one in found[side]] for side in SIDES)
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = test.confidence_interval(0.9)
    p = max(
        stats.ttest_ind([x + MARGIN for x in ours], theirs, equal_var=False, alternative="greater"),
        stats.ttest_ind([x - MARGIN for x in ours], theirs, equal_var=False, alternative="less"),
        key=lambda one: one.pvalue,
    ).pvalue
    cells = [
        metric.upper(),
        *(f"{fmean(values):.5f} ± {stdev(values):.5f}" for values in (ours, theirs)),
        f"{fmean(ours) - fmean(theirs):+.5f} [{interval.low:+.5f}, {interval.high:+.5f}]",
        f"{p:.2g}",
        "yes" if p < 0.05 else "not shown",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
