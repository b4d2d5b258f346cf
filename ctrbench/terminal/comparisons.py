"""Two arms compared, and the power of a matrix, on the terminal."""

from __future__ import annotations

from statistics import fmean

from ctrbench.analysis import joined
from ctrbench.analysis.power import Required
from ctrbench.analysis.two_arms import Decision
from ctrbench.metrics import find, judged
from ctrbench.printable import counted
from ctrbench.reports import decision_texts
from ctrbench.runner.exported import ExportedPredictions
from ctrbench.runner.imported import Imported
from ctrbench.stats import Inference
from ctrbench.stats.power import MOST_SEEDS
from ctrbench.terminal.output import echo


def show(decision: Decision) -> None:
    """Print the outcome of the gate, the verdict, and the comparison."""
    echo("\n".join(decision_texts(decision).lines))


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


def show_exported(found: ExportedPredictions) -> None:
    """Print what was written, and the cells without predictions."""
    echo(
        f"wrote {found.folder}: {counted(found.cells, 'cell')} of "
        f"{counted(found.impressions, 'test impression')} and {counted(found.users, 'user')}."
    )
    if found.missing:
        named = "; ".join(found.missing[:3]) + "; …" * (len(found.missing) > 3)
        without = counted(len(found.missing), "cell has", "cells have")
        echo(f"{without} no stored predictions: {named}", err=True)


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
