"""What each comparison says, in a sentence for who has to decide."""

from __future__ import annotations

from collections.abc import Iterator

from ctrbench.reports._caption import NAMES
from ctrbench.reports._comparison import Arm, Arms, Comparison, Measure
from ctrbench.reports._judging import Judged
from ctrbench.stats import Inference


def verdicts(plan: Comparison, arms: Arms, judged: Judged) -> tuple[str, ...]:
    """A sentence for every judged comparison of what is no control, the best first, and one more.

    The last says what would make the intervals narrower.
    """
    headline, metric = Measure(plan.headline), NAMES[plan.headline]
    told: list[tuple[Inference, str]] = []
    for arm, reference, name in _pairs(plan, arms):
        inference = judged.get(arm, reference, headline)
        if inference is not None:
            subject = f"{arm.label} against {name}"
            told.append((inference, f"{subject}: {_said(inference, metric, plan.margin)}"))
    told.sort(key=lambda pair: -pair[0].estimate)
    sentences = [sentence for _, sentence in told]
    return (*sentences, *_narrower([inference for inference, _ in told]))


def _pairs(plan: Comparison, arms: Arms) -> Iterator[tuple[Arm, Arm, str]]:
    for row in (row for row in plan.rows if not row.control):
        for column in plan.columns:
            yield arms.cells[row.label, column], arms.baseline, "the baseline"
            for sibling in arms.siblings(row):
                yield arms.cells[row.label, column], arms.cells[sibling, column], f"its {sibling}"


def _said(inference: Inference, metric: str, margin: float) -> str:
    low, high = 100 * inference.low, 100 * inference.high
    told = {
        "better": "better.",
        "worse": "worse.",
        "no worse": f"no worse by more than {100 * margin:g} pp.",
        "inconclusive": "not decided.",
    }[inference.verdict(margin)]
    range_ = f"{100 * inference.estimate:+.2f} pp {metric}, between {low:+.2f} and {high:+.2f}"
    hidden = ""
    if low <= 0 <= high:
        hidden = f"; an effect below {100 * inference.smallest_effect:.2f} pp can hide here"
    p_values = (
        f"p {inference.p_value:.2g}, Holm {inference.p_holm:.2g}, Benjamini-Hochberg "
        f"{inference.p_bh:.2g}"
    )
    return f"{told} {range_}{hidden} ({p_values})."


def _narrower(inferences: list[Inference]) -> list[str]:
    """Where the uncertainty comes from, if it comes from somewhere."""
    parts = [
        one.variance.users / one.variance.total
        for one in inferences
        if one.variance.total and len(one.seeds) > 1
    ]
    if not parts:
        return []
    least, most = 100 * min(parts), 100 * max(parts)
    share = f"{least:.0f} to {most:.0f} %" if round(least) < round(most) else f"{most:.0f} %"
    cure = "only more test users make" if min(parts) > 0.8 else "more seeds make"
    return [
        f"Of the variance of these differences {share} comes from the sampling of users, the rest "
        f"from seeds: {cure} the intervals narrower."
    ]
