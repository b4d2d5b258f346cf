"""The sentences above a table, which a reader needs to interpret its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from ctrbench import metrics
from ctrbench.analysis.comparison import Arm, Arms, TablePlan
from ctrbench.schema import DatasetManifest, Metrics

REFERENCE = "a logistic regression on item mean and the user's earlier click rate"
SNAPSHOTS = {
    "impression": "Histories and click rates are computed at each impression.",
    "session": "Histories and click rates are computed at the start of the session.",
    "day": "Histories and click rates are computed at the start of the day.",
    "period": "Histories and click rates are computed at the start of the period.",
}
GIVEN = "Histories are given by the data set."
CALIBRATION = {  # by whether the log has sample weights
    False: "Calibration is relative to the log, which cannot show whether non-clicks are missing.",
    True: "Calibration is relative to the log with its sample weights.",
}


def caption(plan: TablePlan, arms: Arms, family: int, with_items: bool) -> tuple[str, ...]:
    """Return the sentences of the caption.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
        family: Number of comparisons with simultaneous intervals; 0 if none could be judged.
        with_items: Whether the intervals account for items.
    """
    data = plan.dataset
    sentences = [
        f"Deltas on the test period of {data.name} in percentage points (pp), each cell minus the "
        "baseline of the same seed; GAUC is weighted by impressions and compares impressions of "
        f"one {_group(data)}.",
        _seeds(plan.seeds, family, with_items),
        SNAPSHOTS[data.snapshot] if data.history == "derived" else GIVEN,
        f"Label: {data.label}. Split: {data.split}. Impressions: {_periods(data)}.",
        _test_users(arms),
        *_trainings(arms),
        _first_fields(plan),
        *(_means(plan, arm) for arm in arms.baselines.values()),
        *_imported(plan, arms),
        CALIBRATION[data.has_weight] if test_metrics(arms) else "",
        _reference(plan),
        _repeated(plan, arms),
    ]
    if arms.against_siblings():
        sentences.append(
            "The shuffled sibling is the same mode on the version's own vectors, permuted over "
            "items. The delta against it is the contribution of image information."
        )
    if data.has_weight:
        sentences.append("Every metric counts an impression by its sample weight.")
    if "pretrain" not in _filled_periods(data):
        sentences.append(
            "The data set has no pretrain period: codebooks, means and PCA are fitted on train."
        )
    return tuple(sentence for sentence in (*sentences, *data.notes) if sentence)


def test_metrics(arms: Arms) -> Metrics | None:
    """Return the test metrics of the first finished cell; the counts are the same for all cells."""
    found = (record.metrics.get("test") for arm in arms.all for record in arm.done.values())
    return next((one for one in found if one is not None), None)


def mean_metric(arm: Arm, name: str) -> float | None:
    """Return the mean over seeds of a test metric; None if no finished cell has it.

    Args:
        arm: The arm with its finished cells.
        name: Name of the metric.
    """
    tests = [record.metrics.get("test") for record in arm.done.values()]
    values = [one.value(name) for one in tests if one is not None]
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def joined(names: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    >>> joined(["user", "item", "seed"]), joined(["user"])
    ('user, item and seed', 'user')
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _group(data: DatasetManifest) -> str:
    """Return the definition of an evaluation group."""
    return f"user x {data.snapshot}" if data.snapshot in ("session", "day") else "user"


def _seeds(seeds: tuple[int, ...], family: int, with_items: bool) -> str:
    listed = ", ".join(map(str, seeds))
    sources = ["user", "item"] if with_items else ["user"]
    same_items = "" if with_items else " and apply to the same items only"
    if family:
        shared = (
            f"The {family} headline comparisons that are no control share one simultaneous level; "
            "all other intervals are pointwise and exploratory."
        )
        if len(seeds) == 1:
            return (
                f"One seed ({listed}). Intervals are 95 % confidence intervals that account for "
                f"{joined(sources)} variance, not for seed variance{same_items}. {shared} Nothing "
                "is set in bold."
            )
        return (
            f"Mean over {len(seeds)} seeds ({listed}). Intervals are 95 % confidence intervals "
            f"that account for {joined([*sources, 'seed'])} variance{same_items}. {shared} Bold, "
            "or *: the interval excludes zero."
        )
    if len(seeds) == 1:
        return f"One seed ({listed}); its standard error is unknown."
    return (
        f"Mean ± standard error over {len(seeds)} seeds ({listed}); the standard error accounts "
        "for seed variance only."
    )


def repeat_differences(plan: TablePlan, arms: Arms) -> dict[str, float]:
    """Return by metric the A/A arm minus the baseline of its seed; empty if it was not run.

    Args:
        plan: What the table shows.
        arms: The arms with their stored cells.
    """
    first, again = arms.first.done.get(plan.seeds[0]), arms.repeated
    if first is None or again is None or again.status != "done":
        return {}
    one, other = again.metrics["test"], first.metrics["test"]
    names = [metric.name for metric in _shown(plan)]
    return {name: (one.value(name) or 0.0) - (other.value(name) or 0.0) for name in names}


def _shown(plan: TablePlan) -> list[metrics.Metric]:
    """Return the judged metrics, the headline first, then those that captions describe."""
    described = (metric for metric in metrics.every() if metric.described)
    return [*map(metrics.find, plan.metrics), *described]


def _repeated(plan: TablePlan, arms: Arms) -> str:
    differing = repeat_differences(plan, arms)
    if not differing:
        return ""
    most = max(map(abs, differing.values()))
    difference = "exactly 0" if most == 0 else f"at most {100 * most:.1g} pp"
    return (
        f"A/A: the baseline of seed {plan.seeds[0]}, trained twice, differs from itself by "
        f"{difference} in every metric."
    )


def _filled_periods(data: DatasetManifest) -> dict[str, int]:
    sizes = {name: stop - start for name, (start, stop) in data.periods.items()}
    return {name: size for name, size in sizes.items() if size}


def _periods(data: DatasetManifest) -> str:
    return ", ".join(f"{name} {size:,}" for name, size in _filled_periods(data).items())


def _test_users(arms: Arms) -> str:
    test = test_metrics(arms)
    if test is None:
        return "No cell has finished yet."
    share = test.evaluable_impressions / max(test.impressions, 1)
    return (
        f"Test: {test.impressions:,} impressions of {test.users:,} users; "
        f"GAUC is computed from {test.evaluable_users:,} evaluable users, who have both a click "
        f"and a non-click, and {100 * share:.1f} % of the impressions."
    )


def _trainings(arms: Arms) -> Iterator[str]:
    """Yield how cells were trained, and the settings of modes that differ from the defaults."""
    records = [record for arm in arms.all for record in arm.done.values()]
    chosen = dict.fromkeys(
        f"{record.cell.mode} with {key} {value}"
        for record in records
        for key, value in record.cell.mode_settings.items()
    )
    modes, epochs = "; ".join(chosen), set[int]()
    for trained in arms.baselines:
        own = [arm for arm in arms.cells.values() if arm.trained == trained]
        cells = (record for arm in (arms.baselines[trained], *own) for record in arm.done.values())
        training = next((r.settings["training"] for r in cells if "training" in r.settings), None)
        if training is not None:
            epochs.add(training["epochs"])
            if trained:
                yield f"{trained}: trained{_trained(training)}."
            else:
                yield f"Trained{'; '.join(filter(None, (_trained(training), modes)))}."
    if modes and len(arms.baselines) > 1:
        yield f"In all: {modes}."
    if len(epochs) > 1:
        yield (
            "Epochs beyond the first diagnose overfitting of CTR models. Do not choose the number "
            "of epochs from this table."
        )


def _first_fields(plan: TablePlan) -> str:
    """Return the vector fields that modes read without naming one; empty if there is no choice."""
    read = (f"{field} of {version}" for version, field in plan.first_fields.items())
    listed = ", ".join(read)
    return f"Modes that name no vector field read the first one: {listed}." if listed else ""


def _trained(training: dict[str, Any]) -> str:
    epochs = training["epochs"]
    return (
        f" for {'one epoch' if epochs == 1 else f'{epochs} epochs'}{_warmed(training)}, batch size "
        f"{training['batch_size']}, learning rate {training['learning_rate']:g}{_tables(training)}"
    )


def _tables(training: dict[str, Any]) -> str:
    """Return the optimizer of the embedding tables if it differs from the model's."""
    kind = training.get("table_optimizer", "adam")
    return "" if kind in ("adam", "auto") else f", embedding tables by {kind.replace('_', ' ')}"


def _warmed(training: dict[str, Any]) -> str:
    share = training.get("warm_start", 0)
    if not share:
        return ""
    first, rest = 100 * share, 100 * (1 - share)
    return (
        f" on the last {rest:g} % of train, all arms continuing from one baseline trained on the "
        f"first {first:g} %"
    )


def _imported(plan: TablePlan, arms: Arms) -> Iterator[str]:
    """Yield the metrics of imported predictions, and how they are compared."""
    for row, hashes in plan.imported.items():
        arm = arms.imported[row, plan.columns[0]]
        used, given = len(arm.hashes), len(hashes)
        yield _means(plan, arm)
        if used < given:
            yield f"{row.label}: {used} of {given} seeds are used, as many as the baseline has."
    if plan.imported:
        yield (
            "Imported predictions have no mode, so each column compares them with its baseline; "
            "their first seed is paired with the first seed of the baseline, and so on. Their "
            "intervals are pointwise."
        )


def _means(plan: TablePlan, arm: Arm) -> str:
    means = {one.title: mean_metric(arm, one.name) for one in _shown(plan)}
    listed = [f"{title} {mean:.4f}" for title, mean in means.items() if mean is not None]
    seeds = len(arm.done)
    over = f"mean of {seeds} seeds" if seeds > 1 else "one seed"
    return f"{arm.label} ({over}): {', '.join(listed)}." if listed else ""


def _reference(plan: TablePlan) -> str:
    if plan.reference is None:
        return ""
    values = [(metrics.find(name).title, plan.reference.value(name)) for name in plan.metrics]
    listed = [f"{title} {value:.4f}" for title, value in values if value is not None]
    return f"Reference, {REFERENCE}: {', '.join(listed)}." if listed else ""
