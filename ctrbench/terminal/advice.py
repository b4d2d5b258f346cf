"""The advice about a log and a version on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctrbench.terminal._tables import aligned
from ctrbench.terminal.output import echo

if TYPE_CHECKING:
    from ctrbench.advising.advice import Advice, ModeForecast, SizeForecast
    from ctrbench.advising.prediction import Reliability

UNKNOWN = "not predictable"
RELIABILITY = (
    *("  predicted", "worlds", "rank correlation", "fixed order", "winner right"),
    *("best among leaders", "pairs", "right", "covered"),
)


def show(found: Advice) -> None:
    """Print the answer, the predicted gains, the codebook sizes, the reliability and the matrix."""
    level = f"{found.level:.0%}"
    echo(_answer(found))
    echo(f"\nPredicted gain of GAUC on test over the baseline, pp, with {level} intervals")
    rows = [(f"  {one.mode}", *_interval(one), _behind(one)) for one in found.modes]
    echo(aligned([("  mode", "gain", "from", "to", f"against {found.modes[0].mode}"), *rows]))
    if found.sizes:
        echo(f"\nPredicted gain of cluster_id by codebook size, pp: {_useful(found)}")
        sizes = [(f"  {one.size:,}", f"{one.gain_pp:+.2f}", _mark(one)) for one in found.sizes]
        echo(aligned([("  codes", "gain", ""), *sizes]))
    if found.outside:
        echo("\nExtrapolation: these traits are beyond those of the worlds of the fit.")
        rows = [
            (f"  {one.trait}", *(f"{value:,.4g}" for value in (one.value, one.low, one.high)))
            for one in found.outside
        ]
        echo(aligned([("  trait", "here", "from", "to"), *rows]))
    echo("\nReliability: predictions of worlds that were left out of the fit")
    echo(aligned([RELIABILITY, *(_reliability(one) for one in found.reliability)]))
    echo(
        "  Fixed order: rank correlation of the mean order of the other worlds. Winner right: "
        "best, or at most 0.3 pp below.\n  Leaders: not predicted to be behind the first; their "
        "mean number. Pairs: of modes whose predicted interval\n  excludes zero. Right: measured "
        f"in the predicted order. Covered: by {level} intervals."
    )
    echo("\nTraits, measured on train and valid")
    echo(aligned((f"  {label}", text) for label, text in _traits(found)))
    echo("\nA matrix that tests the prediction; --output FILE writes it:\n")
    echo(found.matrix.rstrip("\n"))


def _answer(found: Advice) -> str:
    first = found.modes[0]
    if first.low_pp <= 0:
        return (
            f"No gain of {found.version} is predicted: the interval of the best mode, "
            f"{first.mode}, includes zero. Order of modes: {UNKNOWN}."
        )
    leaders = [one.mode for one in found.leaders]
    gain = f"{first.gain_pp:+.1f} pp [{first.low_pp:+.1f}, {first.high_pp:+.1f}]"
    if len(leaders) == 1:
        return f"{first.mode} is predicted to gain most: {gain}."
    if len(leaders) == len(found.modes):
        return f"{first.mode} is predicted to gain {gain}. Order of modes: {UNKNOWN}."
    others = " and ".join(part for part in (", ".join(leaders[1:-1]), leaders[-1]) if part)
    return f"{first.mode} is predicted to gain most, {gain}; its order with {others} is {UNKNOWN}."


def _interval(one: ModeForecast) -> Sequence[str]:
    return f"{one.gain_pp:+.2f}", f"{one.low_pp:+.2f}", f"{one.high_pp:+.2f}"


def _behind(one: ModeForecast) -> str:
    if one.behind_pp == one.behind_low_pp == one.behind_high_pp == 0:
        return ""
    if not one.is_behind:
        return UNKNOWN
    return f"{one.behind_pp:+.2f} [{one.behind_low_pp:+.2f}, {one.behind_high_pp:+.2f}]"


def _useful(found: Advice) -> str:
    sizes = [f"{size:,}" for size in found.useful_sizes]
    return f"useful {', '.join(sizes)}" if sizes else f"useful sizes are {UNKNOWN}"


def _mark(one: SizeForecast) -> str:
    return "useful" if one.useful else ""


def _reliability(one: Reliability) -> Sequence[str]:
    return (
        f"  {one.what}",
        f"{one.worlds}",
        f"{one.rank_correlation:.2f}",
        f"{one.fixed_order:.2f}",
        f"{one.winners:.0%}",
        f"{one.in_leaders:.0%} of {one.leaders:.1f}",
        f"{one.pairs} of {one.all_pairs}",
        "–" if math.isnan(one.right) else f"{one.right:.0%}",
        f"{one.covered:.0%}",
    )


def _traits(found: Advice) -> list[tuple[str, str]]:
    traits = found.traits
    return [
        ("impressions of train", f"{traits.impressions:,}"),
        ("impressions per item", f"{traits.per_item:,.1f}"),
        ("share of the tenth of items shown most", f"{traits.head:.1%}"),
        ("impressions of valid with new items", f"{traits.cold:.1%}"),
        ("clicks per history", f"{traits.clicks:.1f}"),
        ("CTR", f"{traits.ctr:.2%}"),
        ("impressions of valid with a vector", f"{traits.coverage:.1%}"),
        ("AUC of the mean cosine", f"{traits.sim_auc:.4f}"),
        ("click rates of an item and its neighbours, correlation", f"{traits.agreement:+.2f}"),
        ("GAUC of a regression without images", f"{traits.baseline:.4f}"),
        ("  gain with cosines, pp", f"{traits.similarity_pp:+.2f}"),
        ("  gain with a bilinear score, pp", f"{traits.bilinear_pp:+.2f}"),
        *(
            (f"  gain with {size:,} codes, pp", f"{gain:+.2f}")
            for size, gain in traits.codes_pp.items()
        ),
    ]
