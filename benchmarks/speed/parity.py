"""Do our DIN and FuxiCTR's reach the same AUC and GAUC? Two one-sided tests over seeds.

`python benchmarks/speed/parity.py` judges what `training.py --arms none --repeats 10` measured:
both trained on one log, the same sizes and optimiser, one epoch. It writes
results/tables/speed_parity.md. Seeds of the two have nothing in common, so the means are compared
by Welch's test; equivalent: the 90 % interval of the difference lies within the margin either way.
"""

from __future__ import annotations

from statistics import fmean, stdev

from scipy import stats
from training import TABLES, stored

MARGIN = 0.0005
SIDES = ("ctrbench", "fuxictr")
METRICS = ("auc", "gauc")


def main() -> None:
    """Compare, write."""
    runs = [run for run in stored() if run.arm == "none" and run.library in SIDES]
    found = {
        side: [one for run in runs if run.library == side for one in run.measured] for side in SIDES
    }
    rows = found["ctrbench"][0]["rows"]
    seeds = " and ".join(f"{len(found[side])} of {side}" for side in SIDES)
    lines = [
        f"{rows:,} training impressions, one epoch, seeds: {seeds}; mean ± standard deviation over "
        "seeds. Difference: ctrbench minus FuxiCTR with its 90 % interval (Welch); equivalent: "
        f"within {MARGIN} either way, p of two one-sided tests. Made by "
        "`benchmarks/speed/parity.py`; do not edit.",
        "",
        "| metric | ctrbench | FuxiCTR | difference | p | equivalent |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for metric in METRICS:
        ours, theirs = ([one[metric] for one in found[side]] for side in SIDES)
        lines.append(_row(metric, ours, theirs))
    text = "\n".join(lines) + "\n"
    (TABLES / "speed_parity.md").write_text(text, encoding="utf-8")
    print(text)


def _row(metric: str, ours: list[float], theirs: list[float]) -> str:
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.9)
    sides = ((MARGIN, "greater"), (-MARGIN, "less"))
    p = max(
        stats.ttest_ind(
            [value + shift for value in ours], theirs, equal_var=False, alternative=alternative
        ).pvalue
        for shift, alternative in sides
    )
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
