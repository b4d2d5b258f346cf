"""The comparison of two arms as text: for the terminal, and for a pull request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ctrbench.analysis import joined
from ctrbench.analysis.prediction_files import ComparedFiles
from ctrbench.analysis.two_arms import Compared, Decision
from ctrbench.atomic import atomic_file, check_writable
from ctrbench.errors import ConfigError
from ctrbench.json_text import as_json
from ctrbench.printable import counted, printable
from ctrbench.reports.markdown import escape, pipe_row
from ctrbench.stats import FEWEST_EFFECTIVE_USERS, FEWEST_USERS


@dataclass(frozen=True)
class DecisionTexts:
    """The sentences on a decision."""

    gate: str | None  # the outcome of the gate; None: there is none
    verdict: str
    difference: str  # estimate and interval
    basis: str  # arms, seeds, impressions
    notes: tuple[str, ...]  # what the interval accounts for, and its limits

    @property
    def lines(self) -> tuple[str, ...]:
        """Return all sentences, the decision first."""
        gate = () if self.gate is None else (self.gate,)
        return (*gate, self.verdict, self.difference, self.basis, *self.notes)


def decision_texts(decision: Decision) -> DecisionTexts:
    """Return the sentences on a decision."""
    found, inference = decision.compared, decision.compared.inference
    outcome = "failed" if decision.failed else "passed"
    gate = None if decision.gate is None else f"Gate --fail-on {decision.gate}: {outcome}."
    sign = " (sign reversed: less is better)" if found.less_is_better else ""
    low, high = 100 * inference.low, 100 * inference.high
    difference = (
        f"{found.metric}{sign} {100 * inference.estimate:+.3f} pp ({found.value:.4f} and "
        f"{found.reference:.4f}), 95 % interval {low:+.3f} to {high:+.3f} "
        f"(p {inference.p_value:.2g})."
    )
    basis = (
        f"{found.a} against {found.b}: {len(inference.seeds)} seed(s), {found.test.impressions:,} "
        f"test impressions, {found.test.evaluable_users:,} of {found.test.users:,} users evaluable."
    )
    return DecisionTexts(
        gate, _verdict(found, decision.margin), difference, basis, tuple(_notes(found))
    )


def decision_markdown(decision: Decision) -> str:
    """Return a decision as GitHub Markdown, for a comment on a pull request."""
    found, inference, texts = (
        decision.compared,
        decision.compared.inference,
        decision_texts(decision),
    )
    low, high = 100 * inference.low, 100 * inference.high
    rows = [
        ("A", escape(found.a)),
        ("B", escape(found.b)),
        (f"{escape(found.metric)} of A and B", f"{found.value:.4f} and {found.reference:.4f}"),
        (
            "difference, pp" + (", sign reversed" if found.less_is_better else ""),
            f"{100 * inference.estimate:+.3f} [{low:+.3f}, {high:+.3f}]",
        ),
        ("p", f"{inference.p_value:.2g}"),
        ("margin, pp", f"{100 * decision.margin:g}"),
        ("seeds", str(len(inference.seeds))),
        ("test impressions", f"{found.test.impressions:,}"),
        ("evaluable users", f"{found.test.evaluable_users:,} of {found.test.users:,}"),
    ]
    parts = [
        f"### ctrbench: {escape(texts.verdict)}",
        "" if texts.gate is None else f"**{escape(texts.gate)}**",
        "\n".join(map(pipe_row, [("", ""), ("---", "---:"), *rows])),
        "\n".join(f"- {escape(note)}" for note in texts.notes),
    ]
    return printable("\n\n".join(part for part in parts if part) + "\n")


def check_decision_files(paths: Iterable[Path]) -> None:
    """Check names of files before anything is compared.

    Raises:
        ConfigError: A name ends neither in .json nor in .md, or cannot be written.
    """
    for path in paths:
        if path.suffix not in FORMATS:
            raise ConfigError(f"{path} ends neither in .json nor in .md; rename it.")
        check_writable(path)


def write_decision(decision: Decision, path: Path) -> None:
    """Write a decision.

    Args:
        decision: The decision.
        path: Ends in `.json` or `.md`; replaced if it exists.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(FORMATS[path.suffix](decision), encoding="utf-8")


def _verdict(found: Compared, margin: float) -> str:
    if found.below_chance:
        return (
            f"No verdict: {found.b} has {found.metric} {found.reference:.4f}, which is worse than "
            "chance. Any change that weakens such a model appears as a gain."
        )
    small = found.inference.low > -margin
    return {
        "better": f"{found.a} is better.",
        "worse": f"{found.a} is worse"
        + (f", but by less than {100 * margin:g} pp." if small else "."),
        "no worse": f"{found.a} is no worse by more than {100 * margin:g} pp.",
        "inconclusive": f"Inconclusive: {found.a} may be better, or worse by more than "
        f"{100 * margin:g} pp.",
    }[found.inference.verdict(margin)]


def _notes(found: Compared) -> list[str]:
    inference, lines = found.inference, []
    if found.test.evaluable_users < FEWEST_USERS:
        lines.append(
            f"Only {counted(found.test.evaluable_users, 'user has', 'users have')} both a click "
            f"and a non-click; with fewer than {FEWEST_USERS} the estimate depends on few users."
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
    if len(inference.seeds) == 1:
        lines.append("There is one seed, so the interval does not account for seed variance.")
    if found.files is not None:
        lines += _of_files(found.files)
    lines += [f"Settings differ: {text}." for text in found.differing]
    if found.files is None:
        lines.append(
            "This interval is pointwise. If the arm was selected as the best of several, use the "
            "verdict of the table, which is simultaneous over all of them."
        )
    return lines


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


FORMATS: dict[str, Callable[[Decision], str]] = {".json": as_json, ".md": decision_markdown}
