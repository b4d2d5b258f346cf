"""Texts of numbers, common to all formats."""

from __future__ import annotations

from ctrbench.analysis.blocks import Entry
from ctrbench.analysis.verdicts import VerdictLine

HEAD = (
    "comparison",
    "verdict",
    "MDE, pp",
    "p",
    "p Holm",
    "p BH",
    "P better, %",
    "users / items / seeds, %",
)


def entry_text(entry: Entry) -> str:
    """Return an entry without its marks: `+0.23 [+0.05, +0.41]`, `12 % [3, 21]`, `–`, `failed`.

    Without influence values the text is `+0.23 ± 0.05`, the standard error over seeds.
    """
    if entry.share is not None:
        if not entry.share.defined:
            return "–"
        value, low, high = (
            round(100 * share) for share in (entry.share.value, entry.share.low, entry.share.high)
        )
        return f"{value} % [{low}, {high}]"
    if entry.delta is None:
        return "failed" if entry.status == "failed" else "–"
    mean, error = entry.delta.mean_pp, entry.delta.standard_error_pp
    shown = _signed(mean)
    if entry.inference is not None:
        low, high = 100 * entry.inference.low, 100 * entry.inference.high
        return f"{shown} [{_signed(low)}, {_signed(high)}]"
    return shown if error is None else f"{shown} ± {error:.2f}"


def verdict_texts(line: VerdictLine) -> tuple[str, ...]:
    """Return the texts of a judged comparison, in the order of `HEAD`."""
    inference = line.inference
    within = inference.low <= 0 <= inference.high
    detectable = f"{100 * inference.smallest_effect:.2f}" if within else "–"
    known = len(inference.seeds) > 1 and inference.variance.total > 0
    shares = " / ".join(
        "–" if share is None else f"{100 * share:.0f}" for share in inference.shares.values()
    )
    p = (inference.p_value, inference.p_holm, inference.p_bh)
    better = (
        f"{100 * inference.probability_above:.1f}"  # of a judged metric, of which more is better
    )
    return (
        *(line.subject, line.verdict, detectable, *map(_p_value, p), better),
        shares if known else "–",
    )


def _signed(points: float) -> str:
    return f"{points:+.2f}" if abs(points) >= 0.005 else "0.00"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<.001"
