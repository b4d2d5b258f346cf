"""Warnings about the numbers of a table; each appears only if its condition holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import fmean

from ctrbench import metrics
from ctrbench.analysis.caption import REFERENCE, mean_metric, repeat_differences
from ctrbench.analysis.comparison import Arm, Arms, Measure, TablePlan
from ctrbench.analysis.judging import Judged
from ctrbench.printable import counted
from ctrbench.settings import TrainingSettings
from ctrbench.stats import (
    FEWEST_EFFECTIVE_USERS,
    FEWEST_ITEMS,
    FEWEST_USERS,
    SIGNIFICANCE,
    Inference,
)

LOWEST_COVERAGE = 0.5  # smallest share of targets and history slots with vectors
LARGE_GAIN = 0.02  # the largest published gain of image embeddings is 0.016
BETTER_THAN_TRAINING = 0.02  # excess of the AUC gain on test over that on training impressions
CURVE_METRIC = "auc"  # the metric of learning curves
CURVE_TAIL = 5  # points, a quarter of an epoch
MOST_NAMED = 5  # maximum number of arms that one warning names
CURE = (
    "Import the log again with --snapshot period. Given histories must end before the evaluation "
    "group (see docs/evaluation_groups.md)."
)
FEWEST_STEPS = 100  # a model with fewer training steps is close to its initial state
ROUNDING = 1e-7  # differences of metrics between processors


def warnings(plan: TablePlan, arms: Arms, judged: Judged) -> tuple[str, ...]:
    """Return the warnings below a table.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
        judged: The results of all comparisons.
    """
    found = [
        *plan.dataset.findings,
        *_probes(judged),
        *_below_chance(judged),
        *_real_time(plan),
        _repeat(plan, arms),
        *_weak_baseline(plan, arms),
        *_few_steps(arms),
        _few_users(plan, arms),
        _heavy_users(plan, arms, judged),
        _heavy_items(plan, arms, judged),
        *_coverage(plan, arms),
        _controls(plan, arms, judged),
        _wide(plan, arms, judged),
        _few_seeds(plan, arms, judged),
        *_leaks(plan, arms, judged),
        *_unacceptable(arms),
    ]
    return tuple(line for line in found if line)


def _probes(judged: Judged) -> Iterator[str]:
    """Warn about metrics that noise improves, and of arms that rank permuted outcomes."""
    raised = judged.probes.raised
    if raised:
        listed = ", ".join(
            f"{one.measure.title} by {100 * one.inference.estimate:.2f} pp "
            f"[{100 * one.inference.low:.2f}, {100 * one.inference.high:.2f}] "
            f"(standard deviation {one.deviation:g})"
            for one in raised
        )
        yield (
            f"Noise on the baseline's logits raises {listed}. Noise carries no information, so "
            "these metrics are biased: the input contains outcomes of the evaluated impressions. "
            f"Do not use their deltas. {CURE}"
        )
    ranked = judged.probes.ranked
    if ranked:
        listed = ", ".join(
            f"{one.arm.label} {one.value:.4f} ± {one.standard_error:.4f} ({one.measure.title})"
            for one in ranked[:MOST_NAMED]
        )
        more = len(ranked) - MOST_NAMED
        listed += f" and {more} more" if more > 0 else ""
        yield (
            "GAUC differs from 0.5 although outcomes are permuted within evaluation groups: "
            f"{listed}. The input contains outcomes of the evaluation group. {CURE}"
        )


def _title(plan: TablePlan) -> str:
    """Return the display name of the headline metric."""
    return metrics.find(plan.headline).title


def _below_chance(judged: Judged) -> Iterator[str]:
    """Warn about baselines below chance, whose comparisons are not judged."""
    if judged.below_chance:
        listed = ", ".join(
            f"{measure.title} {mean:.4f} ({arm.label.lower()})"
            for arm, measure, mean in judged.below_chance
        )
        yield (
            f"The baseline is below chance level (0.5): {listed}. Deltas against it have no "
            "interval and no verdict."
        )


def _real_time(plan: TablePlan) -> Iterator[str]:
    """Warn about a snapshot whose user states contain outcomes of the evaluation group."""
    manifest = plan.dataset
    derived = manifest.history == "derived"
    if manifest.snapshot == "impression" and (derived or manifest.has_timestamp):
        biased = "histories and click rates contain" if derived else "click rates contain"
        yield (
            f"The data set's snapshot is 'impression': {biased} the user's own outcomes in the "
            f"test period, which bias GAUC. {CURE}"
        )


def _repeat(plan: TablePlan, arms: Arms) -> str:
    """Warn if the A/A cell differs from its baseline."""
    differing = {
        name: value
        for name, value in repeat_differences(plan, arms).items()
        if abs(value) > ROUNDING
    }
    if not differing:
        return ""
    listed = ", ".join(
        f"{metrics.find(name).title} {100 * value:+.3f} pp" for name, value in differing.items()
    )
    return (
        f"A/A: the baseline of seed {plan.seeds[0]}, trained twice, differs from itself "
        f"({listed}). Training is not reproducible on this machine, which adds noise to every "
        "delta."
    )


def _controls(plan: TablePlan, arms: Arms, judged: Judged) -> str:
    """Warn about controls that beat the baseline without image information."""
    found = [
        (arm, inference)
        for arm, inference in _against_baseline(plan, arms, judged, control=True)
        if inference.estimate > 0
    ]
    controls = sum(one.control for one in arms.against_baseline())
    listed = [
        f"{arm.label} {100 * inference.estimate:+.2f} pp (p {inference.p_value:.2g})"
        for arm, inference in found
        if inference.p_value < SIGNIFICANCE / controls
    ]
    if not listed:
        return ""
    return (
        f"Controls that beat the baseline on {_title(plan)}: {', '.join(listed)}. They contain "
        "no image information, so read the real versions against their shuffled siblings."
    )


def _wide(plan: TablePlan, arms: Arms, judged: Judged) -> str:
    """Warn about comparisons whose minimum detectable effect exceeds the requested effect."""
    if plan.effect is None:
        return ""
    found = list(_against_baseline(plan, arms, judged, control=False))
    larger = [one.smallest_effect for _, one in found if one.smallest_effect > plan.effect]
    if not larger:
        return ""
    return (
        f"The requested effect, {100 * plan.effect:g} pp of {_title(plan)}, is below the "
        f"minimum detectable effect (MDE) of {len(larger)} of {len(found)} comparisons with the "
        f"baseline: their MDE is {100 * min(larger):.2f} to {100 * max(larger):.2f} pp."
    )


def _few_seeds(plan: TablePlan, arms: Arms, judged: Judged) -> str:
    """Warn about two seeds, and about three seeds if seed variance dominates."""
    if len(plan.seeds) == len(arms.first.done) == 2:
        return (
            "Two seeds give an imprecise estimate of seed variance, so the intervals are wide. A "
            "third seed narrows them the most."
        )
    found = list(_against_baseline(plan, arms, judged, control=False))
    noisy = [arm.label for arm, one in found if len(one.seeds) == 3 and one.seed_share > 0.5]
    if not noisy:
        return ""
    return (
        f"Three seeds, and seed variance dominates in {len(noisy)} of {len(found)} comparisons "
        "with the baseline. Their intervals may be slightly too narrow: at most 6.1 % false "
        "positives at a nominal 5 %, for a mode three times as noisy as the others "
        "(results/tables/calibration_prior.md)."
    )


def _leaks(plan: TablePlan, arms: Arms, judged: Judged) -> Iterator[str]:
    """Warn about results that suggest outcomes of the test period in the input."""
    large = [
        f"{arm.label} {100 * inference.estimate:+.2f} pp"
        for arm, inference in _against_baseline(plan, arms, judged, control=False)
        if inference.low > LARGE_GAIN
    ]
    if large:
        yield (
            f"Implausibly large gains in {_title(plan)}: {', '.join(large)}. Published image "
            "embeddings gain at most 1.6 pp. Check that the vectors were not trained on clicks "
            "after the pretrain period."
        )
    headline = Measure(plan.headline)
    above = [
        f"{comparison.label} {100 * share.value:.0f} %"
        for comparison in arms.against_baseline()
        if (share := judged.shares.get((comparison, headline))) is not None and share.low > 1
    ]
    if above:
        yield (
            f"Gains above the attainable gain: {', '.join(above)} of it. The input contains "
            "outcomes of the test period."
        )
    better = [
        f"{arm.label} by {100 * (own - usual):.2f} pp"
        for arm, baseline in ((arms.arm(c), arms.reference(c)) for c in arms.against_baseline())
        if (usual := _test_over_training(baseline)) is not None
        and (own := _test_over_training(arm)) is not None
        and own > usual + BETTER_THAN_TRAINING
        and (mean_metric(arm, CURVE_METRIC) or 0) > (mean_metric(baseline, CURVE_METRIC) or 1)
    ]
    if better:
        yield (
            "The gain of AUC is larger on test than in progressive evaluation of train: "
            f"{', '.join(better)}. Check the vectors for outcomes of the test period."
        )


def _test_over_training(arm: Arm) -> float | None:
    """Return the AUC on test minus the progressive AUC at the end of training."""
    test, training = mean_metric(arm, CURVE_METRIC), _training_auc(arm)
    return None if test is None or training is None else test - training


def _training_auc(arm: Arm) -> float | None:
    """Return the mean progressive AUC of the last quarter epoch, over seeds."""
    tails = [
        fmean(auc for point in record.curve[-CURVE_TAIL:] if (auc := point.auc) is not None)
        for record in arm.done.values()
        if any(point.auc is not None for point in record.curve[-CURVE_TAIL:])
    ]
    return fmean(tails) if tails else None


def _against_baseline(
    plan: TablePlan, arms: Arms, judged: Judged, control: bool
) -> Iterator[tuple[Arm, Inference]]:
    """Yield the headline inference of all controls, or of all other arms."""
    for comparison in arms.against_baseline():
        inference = judged.get(comparison, Measure(plan.headline))
        if inference is not None and comparison.control == control:
            yield arms.arm(comparison), inference


def _weak_baseline(plan: TablePlan, arms: Arms) -> Iterator[str]:
    simple = plan.reference and plan.reference.value(plan.headline)
    for arm in arms.baselines.values():
        mean = mean_metric(arm, plan.headline)
        if mean is not None and simple is not None and mean <= simple:
            yield (
                f"The {arm.label.lower()}'s {_title(plan)} {mean:.4f} is not above the "
                f"{simple:.4f} of {REFERENCE}. A delta over a weak baseline may not generalize to "
                "a strong one."
            )


def _few_steps(arms: Arms) -> Iterator[str]:
    for arm in arms.baselines.values():
        record = next((one for one in arm.done.values() if one.curve), None)  # seeds are equal
        if record is not None:
            batch_size = TrainingSettings.model_validate(record.cell.training).batch_size
            steps = record.curve[-1].impressions / batch_size
            if steps < FEWEST_STEPS:
                yield (
                    f"The {arm.label.lower()} was trained for only "
                    f"{counted(math.ceil(steps), 'step')} and is close to its initial state, so "
                    "deltas over it are uninformative. Lower training.batch_size, or choose it "
                    "with `ctrbench tune`."
                )


def _few_users(plan: TablePlan, arms: Arms) -> str:
    """Warn about the test period and of slices with few evaluable users."""
    few: list[str] = []
    for part in (None, *plan.slices):
        measure = Measure(plan.headline, part)  # counts are the same for every metric
        found = (measure.metrics(record) for arm in arms.all for record in arm.done.values())
        counts = next((one for one in found if one is not None), None)
        if counts is not None and counts.evaluable_users < FEWEST_USERS:
            where = part.title if part else "the test period"
            few.append(f"{where} ({counts.evaluable_users})")
    if not few:
        return ""
    return f"GAUC is computed from fewer than {FEWEST_USERS} evaluable users on {'; '.join(few)}."


def _heavy_users(plan: TablePlan, arms: Arms, judged: Judged) -> str:
    """Warn about measures with a small effective number of users."""
    heavy = _below(plan, arms, judged, lambda one: one.effective_users, FEWEST_EFFECTIVE_USERS)
    if not heavy:
        return ""
    return (
        f"The effective number of users is below {FEWEST_EFFECTIVE_USERS:g}: {heavy}. Their "
        "intervals are wider than necessary; below 3 effective users they are too narrow."
    )


def _heavy_items(plan: TablePlan, arms: Arms, judged: Judged) -> str:
    """Warn about measures with a small effective number of items."""
    heavy = _below(plan, arms, judged, lambda one: one.effective_items, FEWEST_ITEMS)
    if not heavy:
        return ""
    return (
        f"The effective number of items is below {FEWEST_ITEMS:g}: {heavy}. The estimate of item "
        "variance is imprecise there, and intervals may be too narrow for other items."
    )


def _below(
    plan: TablePlan,
    arms: Arms,
    judged: Judged,
    effective: Callable[[Inference], float],
    fewest: float,
) -> str:
    """Return the measures whose effective number is below a limit, as text."""
    found: list[str] = []
    for measure in plan.measures:
        known = (judged.get(one, measure) for one in arms.against_baseline())
        number = next((effective(one) for one in known if one is not None), math.inf)
        if number < fewest:
            where = measure.slice.title if measure.slice else "the test period"
            found.append(f"{measure.of.title} on {where} ({number:.1f})")
    return "; ".join(found)


def _coverage(plan: TablePlan, arms: Arms) -> list[str]:
    """Warn about versions whose vectors cover few targets or history slots."""
    lines: list[str] = []
    for row in (row for row in plan.rows if row.control is None):
        records = [r for column in plan.columns for r in arms.cells[row, column].done.values()]
        known = [r.facts for r in records if "coverage_targets" in r.facts]
        facts = known[0] if known else {}
        shares = {
            name: facts.get(f"coverage_{name}", 1.0) for name in ("targets", "slots", "items")
        }
        if min(shares["targets"], shares["slots"]) < LOWEST_COVERAGE:
            lines.append(
                f"{row.label} has vectors for {100 * shares['targets']:.1f} % of the targets, "
                f"{100 * shares['slots']:.1f} % of the history slots and "
                f"{100 * shares['items']:.1f} % of the items. Its deltas reflect mostly missing "
                "images."
            )
    return lines


def _unacceptable(arms: Arms) -> Iterator[str]:
    """Warn about metrics outside their acceptable range, such as calibration."""
    for metric in metrics.every():
        if metric.acceptable is None:
            continue
        low, high = metric.acceptable
        means = ((arm.label, mean_metric(arm, metric.name)) for arm in arms.all)
        off = [
            f"{label} {mean:.2f}"
            for label, mean in means
            if mean is not None and not low <= mean <= high
        ]
        if off:
            title = metric.title[:1].upper() + metric.title[1:]
            yield f"{title} lies outside {low} to {high}: {', '.join(off)}."
