"""The advice about a log and a version on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ctrbench.advising.prediction import LARGER, SMALL_SIZES
from ctrbench.terminal._tables import aligned
from ctrbench.terminal.output import echo

if TYPE_CHECKING:
    from ctrbench.advising.advice import Advice, ModeForecast, SizeForecast

UNKNOWN = "not predictable"


def show(found: Advice) -> None:
    """Print the answer, the predicted gains, the codebook sizes, the reliability and the matrix."""
    level = f"{found.level:.0%}"
    echo(_answer(found))
    echo(f"\nPredicted gain of GAUC on test over shuffled vectors, pp, with {level} intervals")
    rows = [(f"  {one.mode}", *_interval(one), _behind(one)) for one in found.modes]
    echo(aligned([("  mode", "gain", "from", "to", f"against {found.modes[0].mode}"), *rows]))
    if found.sizes and all(one.gain_pp <= 0 for one in found.sizes):
        echo("\nNo codebook size of cluster_id is predicted to gain.")
    elif found.sizes:
        echo(f"\nPredicted gain of cluster_id by codebook size, pp: {_useful(found)}")
        sizes = [(f"  {one.size:,}", f"{one.gain_pp:+.2f}", _mark(one)) for one in found.sizes]
        echo(aligned([("  codes", "gain", ""), *sizes]))
    else:
        echo(f"  Modes with codes are not predicted: {found.version} has too few distinct vectors.")
    if found.outside:
        echo("\nExtrapolation: these traits are beyond those of the worlds of the fit.")
        rows = [
            (f"  {one.trait}", *(f"{value:{one.form}}" for value in (one.value, one.low, one.high)))
            for one in found.outside
        ]
        echo(aligned([("  trait", "here", "from", "to"), *rows]))
    if found.is_larger:
        echo(_larger(found))
    echo(f"\nReliability, of {found.reliability[-1].worlds} {found.reliability[-1].what}")
    rows = [*_reliability(found), *(_of_sizes(found) if found.sizes else ())]
    echo(aligned((f"  {label}", text) for label, text in rows))
    echo("\nTraits, measured on train and valid")
    echo(aligned((f"  {label}", text) for label, text in _traits(found)))
    echo("\nA matrix that tests the prediction; --output FILE writes it:\n")
    echo(found.matrix.rstrip("\n"))


def _answer(found: Advice) -> str:
    leaders = [one.mode for one in found.leaders]
    certain = [one for one in found.leaders if one.low_pp > 0]
    shown = (certain or found.modes)[0]
    gain = f"{shown.gain_pp:+.1f} pp [{shown.low_pp:+.1f}, {shown.high_pp:+.1f}] of GAUC"
    if not certain:
        return (
            f"A gain of {found.version} cannot be predicted: the largest is {gain} over shuffled "
            f"vectors, with {shown.mode}."
        )
    answer = f"{found.version} is predicted to gain {gain} over shuffled vectors with {shown.mode}"
    if len(leaders) == 1:
        return f"{answer}, more than with any other mode."
    if len(leaders) == len(found.modes):
        return f"{answer}; the order of modes is {UNKNOWN}."
    return f"{answer}; the order of {', '.join(leaders[:-1])} and {leaders[-1]} is {UNKNOWN}."


def _interval(one: ModeForecast) -> Sequence[str]:
    return f"{one.gain_pp:+.2f}", f"{one.low_pp:+.2f}", f"{one.high_pp:+.2f}"


def _behind(one: ModeForecast) -> str:
    if one.behind_pp == one.behind_low_pp == one.behind_high_pp == 0:
        return ""
    if not one.is_behind:
        return UNKNOWN
    return f"{one.behind_pp:+.2f} [{one.behind_low_pp:+.2f}, {one.behind_high_pp:+.2f}]"


def _larger(found: Advice) -> str:
    """Return why no order is predicted, with how often it was right for larger logs."""
    why = "  No order of modes is predicted, because the log is larger than all of these worlds."
    for one in found.reliability:
        if one.what == LARGER:
            why += (
                f"\n  Of {one.pairs} orders predicted for {one.worlds} worlds with 10 million "
                f"impressions, {one.right:.0%} were right; {one.covered:.0%} of the gains were "
                "within their intervals."
            )
    return why


def _useful(found: Advice) -> str:
    sizes = [f"{size:,}" for size in found.useful_sizes]
    return f"useful {', '.join(sizes)}" if sizes else "a gain is not certain with any size"


def _mark(one: SizeForecast) -> str:
    return "useful" if one.useful else ""


def _reliability(found: Advice) -> list[tuple[str, str]]:
    """Return the last row of the reliability, with the same for a fixed order."""
    one = found.reliability[-1]
    right = "–" if math.isnan(one.right) else f"{one.right:.0%} of {one.pairs} pairs"
    fixed = "" if math.isnan(one.right) else f" (a fixed order of modes: {one.fixed_right:.0%})"
    return [
        (
            "error of gains",
            f"{one.error_pp:.1f} pp (if all logs gain alike: {one.mean_error_pp:.1f})",
        ),
        (f"gains in {found.level:.0%} intervals", f"{one.covered:.0%}"),
        ("best mode among those without a predicted order", f"{one.in_leaders:.0%}"),
        ("predicted order of two modes is right", right + fixed),
    ]


def _of_sizes(found: Advice) -> Iterator[tuple[str, str]]:
    """Yield how well useful codebook sizes are named, with the same for two small sizes."""
    small = " and ".join(map(str, SMALL_SIZES))
    for one in found.size_reliability:
        yield (
            f"codebook sizes called useful are so, {one.worlds} other worlds",
            f"{one.right:.0%} of {one.called} (always {small}: {one.fixed_right:.0%})",
        )
    for one in found.size_reliability[-1:]:
        yield (
            "gain lost with the best predicted size",
            f"{one.lost_pp:.1f} pp (always {SMALL_SIZES[0]}: {one.fixed_lost_pp:.1f}, default "
            f"size: {one.default_lost_pp:.1f})",
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
