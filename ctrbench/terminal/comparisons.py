"""Two arms compared, and the power of a matrix, on the terminal."""

from __future__ import annotations

from ctrbench.analysis import joined
from ctrbench.analysis.power import Required
from ctrbench.analysis.prediction_files import ComparedFiles
from ctrbench.analysis.two_arms import Compared, Decision
from ctrbench.metrics import find
from ctrbench.stats import FEWEST_USERS, FEWEST_WORTH, Inference
from ctrbench.stats.power import MOST_SEEDS
from ctrbench.terminal.output import echo


def show(decision: Decision) -> None:
    """Print the comparison, its verdict and how the gate ended."""
    echo(describe(decision.compared, decision.margin))
    if decision.gate is not None:
        outcome = "failed" if decision.failed else "passed"
        echo(f"Gate --fail-on {decision.gate}: {outcome}.")


def describe(found: Compared, margin: float) -> str:
    """Return the comparison in words, for a person and for a log.

    Args:
        found: two arms.
        margin: >= 0, a fraction; a loss below it does not matter.
    """
    inference, seeds = found.inference, found.inference.seeds
    low, high = 100 * inference.low, 100 * inference.high
    verdict = {
        "better": f"{found.a} is better.",
        "worse": f"{found.a} is worse"
        + (f", but by less than {100 * margin:g} pp." if inference.low > -margin else "."),
        "no worse": f"{found.a} is no worse by more than {100 * margin:g} pp.",
        "inconclusive": "Not decided: it may be better, or worse by more than "
        f"{100 * margin:g} pp.",
    }[inference.verdict(margin)]
    if found.below_chance:
        verdict = (
            f"No verdict: {found.b} has {found.metric} {found.reference:.4f}, worse than chance, "
            "and anything that dilutes such a model gains."
        )
    sign = " (turned round: less is better)" if found.less_is_better else ""
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
            f"fewer than {FEWEST_USERS} a few people decide."
        )
    if inference.worth < FEWEST_WORTH:
        lines.append(
            f"A few users weigh so much that all are worth {inference.worth:.1f} of equal weight: "
            "the interval is wider than need be, and below 3 too narrow."
        )
    if inference.low <= 0 <= inference.high:
        smallest = 100 * inference.smallest_effect
        lines.append(f"Minimum detectable effect (power 80 %): {smallest:.2f} pp.")
    spread = inference.variance
    sources = ["user"] + ["item"] * spread.with_items + ["seed"] * (spread.seed_degrees > 0)
    lines.append(f"The 95 % confidence interval accounts for {joined(sources)} variance.")
    if not spread.with_items:
        lines.append(
            "It holds for the same items only: "
            + (
                "add the column item_id to both files to account for item variance."
                if found.files is not None
                else "item sums are not stored with these cells."
            )
        )
    if len(seeds) == 1:
        lines.append(
            "One seed: how much the difference varies when both models are trained again is not in "
            "it."
        )
    if found.files is not None:
        lines += _of_files(found.files)
    lines += [f"Not trained alike: {text}." for text in found.differing]
    if found.files is None:
        lines.append(
            "Judged by itself: if it was picked as the best of several, the table's verdict, which "
            "holds for all of them together, is the one to go by."
        )
    return "\n".join(lines)


def _of_files(files: ComparedFiles) -> list[str]:
    """Ties, and how rows were matched."""
    ours, theirs = (f"{100 * share:.2g} %" for share in files.ties)
    lines = [
        f"Equal predictions of a click and a non-click: {ours} of the pairs in A, {theirs} in B; "
        "each counts one half."
    ]
    if not files.matched:
        lines.append(
            "Rows were taken in the order of the files; a column impression_id in both would show "
            "predictions that moved to another row of the same user."
        )
    return lines


def show_power(found: Required) -> None:
    """Print a line per comparison."""
    told = [f"To see {100 * found.effect:g} pp of {find(found.headline).title} four times in five:"]
    for one in found.comparisons:
        label, wanted, units = one.comparison.title, one.need, _test_set(one.inference)
        if wanted.hidden:
            told.append(
                f"- {label}: not with these test users, whatever the number of seeds (at best "
                f"{100 * wanted.smallest_effect:.2f} pp); it takes more than {wanted.users:.2f} "
                f"times as many {units}."
            )
        elif wanted.seeds is None:
            told.append(f"- {label}: more than {MOST_SEEDS:,} seeds, or more test {units}.")
        else:
            limit = f"at best {100 * wanted.smallest_effect:.2f} pp can be seen with these {units}"
            if not one.inference.variance.sampled:
                limit = f"these {units} set no limit that the stored seeds could tell"
            told.append(
                f"- {label}: {wanted.seeds} seeds (stored: {len(one.inference.seeds)}); {limit}."
            )
    echo("\n".join(told))


def _test_set(inference: Inference) -> str:
    """What a test set needs more of."""
    return "users and items" if inference.variance.items else "users"
