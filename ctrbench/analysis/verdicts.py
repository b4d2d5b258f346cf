"""The verdicts of a table, with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from ctrbench.analysis.answer import Answer
from ctrbench.analysis.comparison import Arms, Comparison, Measure, TablePlan
from ctrbench.analysis.judging import Judged
from ctrbench.stats import Inference


@dataclass(frozen=True)
class VerdictLine:
    """One judged comparison; `inference` holds the numbers at full precision."""

    comparison: Comparison
    verdict: str  # such as `not decided: +0.42 pp, between -0.15 and +0.99`
    inference: Inference

    @property
    def subject(self) -> str:
        """Return the comparison as text, such as `centred / sim_score against the baseline`."""
        sibling = self.comparison.reference
        name = f"its {sibling.label}" if sibling else "the baseline"
        return f"{self.comparison.label} against {name}"


@dataclass(frozen=True)
class Verdicts:
    """All judged comparisons without controls, best first, with reading instructions."""

    title: str
    lines: tuple[VerdictLine, ...]
    reading: tuple[str, ...]  # sentences


def verdicts(plan: TablePlan, arms: Arms, judged: Judged, found: Answer) -> Verdicts | None:
    """Return the verdicts of the headline; None if nothing could be judged.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
        judged: The results of all comparisons.
        found: The findings on all arms.
    """
    headline = Measure(plan.headline)
    metric = headline.title
    lines: list[VerdictLine] = []
    of_trainings = {(one.row, one.column.trained): one for one in arms.of_imported()}
    for comparison in (*arms.comparisons, *of_trainings.values()):
        inference = judged.get(comparison, headline)
        if inference is not None and not comparison.control:
            above = found.above_zero(comparison.row, comparison.column, comparison.reference)
            text = phrase(inference, plan.margin, above)
            lines.append(VerdictLine(comparison, text, inference))
    if not lines:
        return None
    lines.sort(key=lambda line: -line.inference.estimate)
    inferences = [line.inference for line in lines if not line.comparison.row.imported]
    return Verdicts(
        f"Verdicts on {metric}",
        tuple(lines),
        tuple(
            sentence
            for sentence in (_reading(plan), _imported(arms), *_narrower(inferences))
            if sentence
        ),
    )


def phrase(inference: Inference, margin: float, above: str) -> str:
    """Return the verdict as text, with the estimate and the simultaneous interval.

    Args:
        inference: The result of one comparison.
        margin: >= 0, a fraction; a smaller loss is acceptable.
        above: What an interval above zero means, see `Answer.above_zero`.
    """
    low, high = 100 * inference.low, 100 * inference.high
    text = {
        "better": above,
        "worse": "worse",
        "no worse": f"no worse by more than {100 * margin:g} pp",
        "inconclusive": "not decided",
    }[inference.verdict(margin)]
    if not inference.variance.seed_degrees:
        text += " on this seed"
    return f"{text}: {100 * inference.estimate:+.2f} pp, between {low:+.2f} and {high:+.2f}"


def _reading(plan: TablePlan) -> str:
    return (
        "Better: the intervals against the baseline and against every shuffled sibling that was "
        "run lie above zero. Worse: the interval lies below zero. No worse: it excludes a loss of "
        f"{100 * plan.margin:g} pp. MDE: the minimum detectable effect, which is detected with a "
        "power of 80 %. p: uncorrected; Holm and BH (Benjamini-Hochberg): corrected for all lines. "
        "P better: the probability that the true difference is above zero, uncorrected. "
        "Users / items / seeds: shares of the variance; more users reduce only the share of users, "
        "and likewise for items and seeds."
    )


def _imported(arms: Arms) -> str:
    if not arms.imported:
        return ""
    return (
        "Lines of imported predictions are not part of the simultaneous family: their intervals "
        "and p-values are pointwise."
    )


def _narrower(inferences: list[Inference]) -> list[str]:
    """Return a sentence on how to narrow the intervals; empty with one seed."""
    shares = [one.shares for one in inferences if one.variance.total and len(one.seeds) > 1]
    if not shares:
        return []
    middle = {name: median(one[name] or 0.0 for one in shares) for name in shares[0]}
    largest = max(middle, key=lambda name: middle[name])
    cure = {
        "users": "Only more test users",
        "items": "Only more test items",
        "seeds": "More seeds",
    }[largest if middle["seeds"] < 0.2 else "seeds"]
    return [f"{cure} would narrow most intervals; `ctrbench power FILE` computes how many."]
