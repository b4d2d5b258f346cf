"""Rankings over several data sets on the terminal."""

from __future__ import annotations

from ctrbench.analysis.ranking import Rankings
from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.stats import SIGNIFICANCE
from ctrbench.stats.ranks import Ranking
from ctrbench.terminal.output import echo


def show(found: Rankings) -> None:
    """Print both rankings."""
    echo(describe_rankings(found))


def describe_rankings(found: Rankings) -> str:
    """Return both rankings as text."""
    lines = [
        f"{find(found.headline).title} deltas on {len(found.datasets)} data sets: "
        f"{', '.join(found.datasets)}. The ranks use the {found.pairs} pairs of version and mode "
        "that are common to all of them."
    ]
    if found.left_out:
        lines.append(f"Excluded, because a data set lacks a mode: {', '.join(found.left_out)}.")
    for what, ranking in (("modes", found.modes), ("versions", found.versions)):
        lines += ["", *_described(what, ranking)]
    return "\n".join(lines)


def _described(what: str, ranking: Ranking) -> list[str]:
    lines = [f"Mean rank of {what} (1 is best; {BASELINE} is the baseline):"]
    lines += [
        f"  {mean:.2f}  {name}"
        for name, mean in zip(ranking.contenders, ranking.mean_ranks, strict=True)
    ]
    if ranking.p_global is not None:
        lines.append(
            f"Test of equal ranks (Friedman, Iman and Davenport): p {ranking.p_global:.2g}."
        )
    apart = [pair for pair in ranking.pairs if pair.p_holm <= SIGNIFICANCE]
    for pair in apart:
        better, worse, wins = pair.one, pair.other, pair.wins
        if pair.wins < pair.losses:
            better, worse, wins = pair.other, pair.one, pair.losses
        lines.append(
            f"{better} is above {worse} on {wins} of {ranking.datasets} data sets (signed ranks, "
            f"Holm: p {pair.p_holm:.2g})."
        )
    rest = len(ranking.pairs) - len(apart)
    if rest:
        pairs = "No two" if not apart else f"The other {rest} pairs do not"
        lines.append(f"{pairs} differ significantly.")
    if ranking.datasets < ranking.datasets_needed:
        lines.append(
            f"{ranking.datasets} data sets are too few: a contender that wins on all of them has "
            f"p {ranking.least_p:.2g} before the correction for {len(ranking.pairs)} pairs; "
            f"{ranking.datasets_needed} are required."
        )
    return lines
