"""Two arms compared, and the power of a matrix, on the terminal."""

from __future__ import annotations

from statistics import fmean

from ctrbench.analysis import joined
from ctrbench.analysis.power import Required
from ctrbench.analysis.prediction_files import ComparedFiles
from ctrbench.analysis.two_arms import Compared, Decision
from ctrbench.metrics import find, judged
from ctrbench.runner.imported import Imported
from ctrbench.stats import FEWEST_EFFECTIVE_USERS, FEWEST_USERS, Inference
from ctrbench.stats.power import MOST_SEEDS
from ctrbench.terminal.output import echo


def show(decision: Decision) -> None:
    """Print the comparison, its verdict and the outcome of the gate."""
    echo(describe(decision.compared, decision.margin))
    if decision.gate is not None:
        outcome = "failed" if decision.failed else "passed"
        echo(f"Gate --fail-on {decision.gate}: {outcome}.")


def show_imported(found: Imported) -> None:
    """Print what was imported, with the metrics of the test period, and how to show it."""
    one, seeds = found.manifest, len(found.manifest.seeds)
    verb = "imported" if found.new else "already stored:"
    values = {
        metric.title: [v for m in found.metrics if (v := m.value(metric.name)) is not None]
        for metric in judged()
    }
    means = ", ".join(f"{title} {fmean(v):.4f}" for title, v in values.items() if v)
    echo(
        f"{verb} {one.name}: {seeds} seed{'s' * (seeds > 1)} of predictions of "
        f"{found.metrics[0].impressions:,} test impressions of {one.dataset}, matched by "
        f"{joined(found.matched_by)}. {means}."
    )
    if found.unused:
        echo(f"Columns that are not used: {', '.join(found.unused)}.")
    if seeds == 1:
        echo("With one seed, intervals do not account for seed variance.")
    echo(f"Add `predictions: [{one.name}]` to a benchmark file to show them in its table.")


def describe(found: Compared, margin: float) -> str:
    """Return the comparison as text.

    Args:
        found: The comparison of two arms.
        margin: A fraction >= 0; a smaller loss does not matter.
    """
    inference, seeds = found.inference, found.inference.seeds
    low, high = 100 * inference.low, 100 * inference.high
    verdict = {
        "better": f"{found.a} is better.",
        "worse": f"{found.a} is worse"
        + (f", but by less than {100 * margin:g} pp." if inference.low > -margin else "."),
        "no worse": f"{found.a} is no worse by more than {100 * margin:g} pp.",
        "inconclusive": "Inconclusive: it may be better, or worse by more than "
        f"{100 * margin:g} pp.",
    }[inference.verdict(margin)]
    if found.below_chance:
        verdict = (
            f"No verdict: {found.b} has {found.metric} {found.reference:.4f}, which is worse than "
            "chance. Any change that weakens such a model appears as a gain."
        )
    sign = " (sign reversed: less is better)" if found.less_is_better else ""
    lines = [
        f"{found.a} against {found.b}: {len(seeds)} seed(s), {found.test.impressions:,} test "
        f"impressions, {found.test.evaluable_users:,} of {found.test.users:,} users evaluable.",
        f"{found.metric}{sign} {100 * inference.estimate:+.3f} pp ({found.value:.4f} and "
        f"{found.reference:.4f}), 95 % interval {low:+.3f} to {high:+.3f} "
        f"(p {inference.p_value:.2g}). {verdict}",
    ]
    if found.test.evaluable_users < FEWEST_USERS:
        lines.append(
            f"Only {found.test.evaluable_users} users have both a click and a non-click; with "
            f"fewer than {FEWEST_USERS} the estimate depends on few users."
        )
    if inference.effective_users < FEWEST_EFFECTIVE_USERS:
        lines.append(
            "A few users dominate: the effective number of users is "
            f"{inference.effective_users:.1f}. The interval is wider "
            "than necessary; below 3 effective users it is too narrow."
        )
    if inference.low <= 0 <= inference.high:
        smallest = 100 * inference.smallest_effect
        lines.append(f"Minimum detectable effect (power 80 %): {smallest:.2f} pp.")
    spread = inference.variance
    sources = ["user"] + ["item"] * spread.with_items + ["seed"] * (spread.seed_degrees > 0)
    lines.append(f"The 95 % confidence interval accounts for {joined(sources)} variance.")
    if not spread.with_items:
        lines.append(
            "It applies to the same items only: "
            + (
                "add the column item_id to both files to account for item variance."
                if found.files is not None
                else "item sums are not stored with these cells."
            )
        )
    if len(seeds) == 1:
        lines.append("There is one seed, so the interval does not account for seed variance.")
    if found.files is not None:
        lines += _of_files(found.files)
    lines += [f"Settings differ: {text}." for text in found.differing]
    if found.files is None:
        lines.append(
            "This interval is pointwise. If the arm was selected as the best of several, use the "
            "verdict of the table, which is simultaneous over all of them."
        )
    return "\n".join(lines)


def _of_files(files: ComparedFiles) -> list[str]:
    """Return sentences on ties and on how rows were matched."""
    ours, theirs = (f"{100 * share:.2g} %" for share in files.ties)
    lines = [
        f"Equal predictions of a click and a non-click: {ours} of the pairs in A, {theirs} in B; "
        "each counts one half."
    ]
    if not files.matched:
        lines.append(
            "Rows are matched by the order of the files. A column impression_id in both files "
            "detects predictions in another row of the same user."
        )
    return lines


def show_power(found: Required) -> None:
    """Print a line per comparison."""
    lines = [
        f"To detect {100 * found.effect:g} pp of {find(found.headline).title} with a power of 80 %:"
    ]
    for one in found.comparisons:
        label, wanted, units = one.comparison.title, one.need, _test_set(one.inference)
        if wanted.hidden:
            lines.append(
                f"- {label}: no number of seeds suffices with these test users (minimum detectable "
                f"effect {100 * wanted.smallest_effect:.2f} pp); more than "
                f"{wanted.users:.2f} times as many {units} are required."
            )
        elif wanted.seeds is None:
            lines.append(f"- {label}: more than {MOST_SEEDS:,} seeds, or more test {units}.")
        else:
            limit = f"these {units} limit the MDE to {100 * wanted.smallest_effect:.2f} pp"
            if not one.inference.variance.sampled:
                limit = f"the stored seeds show no limit by these {units}"
            lines.append(
                f"- {label}: {wanted.seeds} seeds (stored: {len(one.inference.seeds)}); {limit}."
            )
    echo("\n".join(lines))


def _test_set(inference: Inference) -> str:
    """Return what a larger test set must contain."""
    return "users and items" if inference.variance.items else "users"
