"""What should make a reader doubt the numbers; each warning fires only where its reason holds."""

from __future__ import annotations

from ctrbench.reports._caption import NAMES, REFERENCE, mean_metric
from ctrbench.reports._comparison import Arms, Comparison, Measure

FEWEST_USERS = 100  # evaluable; below, a few people decide
LOWEST_COVERAGE = 0.5  # of what the model sees: targets and history slots
CALIBRATED = (0.8, 1.25)  # predicted over observed CTR


def warnings(plan: Comparison, arms: Arms) -> tuple[str, ...]:
    """The lines under a table; none if nothing is amiss."""
    found = [_weak_baseline(plan, arms), _few_users(plan, arms), *_coverage(plan, arms)]
    return tuple(line for line in (*found, _calibration(arms)) if line)


def _weak_baseline(plan: Comparison, arms: Arms) -> str:
    mean = mean_metric(arms.baseline, plan.headline)
    simple = getattr(plan.reference, plan.headline, None)
    if mean is None or simple is None or mean > simple:
        return ""
    return (
        f"The baseline's {NAMES[plan.headline]} {mean:.4f} is not above the {simple:.4f} of "
        f"{REFERENCE}: a delta over a weak baseline may not carry over to a good one."
    )


def _few_users(plan: Comparison, arms: Arms) -> str:
    """Whole test period and slices in one line, with the number of users in each."""
    few = []
    for measure in (Measure("gauc"), *(Measure("gauc", slice_) for slice_ in plan.slices)):
        found = (measure.metrics(record) for arm in arms.all for record in arm.done.values())
        metrics = next((metrics for metrics in found if metrics is not None), None)
        if metrics is not None and metrics.evaluable_users < FEWEST_USERS:
            where = measure.slice.title if measure.slice else "the test period"
            few.append(f"{where} ({metrics.evaluable_users})")
    if not few:
        return ""
    return f"Fewer than {FEWEST_USERS} evaluable users carry GAUC on {'; '.join(few)}."


def _coverage(plan: Comparison, arms: Arms) -> list[str]:
    """A version whose vectors miss most of what the model sees; rare items alone do not count."""
    lines = []
    for row in (row for row in plan.rows if not row.control):  # a control covers what its row does
        records = [
            r for column in plan.columns for r in arms.cells[row.label, column].done.values()
        ]
        facts = next((r.facts for r in records if "coverage_targets" in r.facts), {})
        shares = {
            name: facts.get(f"coverage_{name}", 1.0) for name in ("targets", "slots", "items")
        }
        if min(shares["targets"], shares["slots"]) < LOWEST_COVERAGE:
            lines.append(
                f"{row.label} has vectors for {100 * shares['targets']:.1f} % of the targets, "
                f"{100 * shares['slots']:.1f} % of the history slots and "
                f"{100 * shares['items']:.1f} % of the items: most of it is without images."
            )
    return lines


def _calibration(arms: Arms) -> str:
    low, high = CALIBRATED
    off = []
    for arm in arms.all:
        ratio = mean_metric(arm, "predicted_over_observed")
        if ratio is not None and not low <= ratio <= high:
            off.append(f"{arm.label} {ratio:.2f}")
    if not off:
        return ""
    return f"Predicted over observed CTR lies outside {low} to {high}: {', '.join(off)}."
