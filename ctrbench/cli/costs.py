"""`ctrbench cost FILE`: what each arm gains, beside what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.cli._drawings import require_drawable
from ctrbench.cli.matrix import BenchmarkArgument
from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.analysis import Comparison
    from ctrbench.plan import Matrix
    from ctrbench.runner.cost import Cost
    from ctrbench.schema import CellRecord
    from ctrbench.stats import Inference

WIDTH = 120  # letters of the table at least; a narrower terminal wraps its lines
MARKS = "os^Dv*PX<>"  # of versions in a drawing
AXES = {
    "latency": "ms for a request of 1,024 impressions, median",
    "bytes": "bytes moved for an impression with a full history",
    "training": "seconds of training a cell",
}


@dataclass(frozen=True)
class Place:
    """One arm: what it gains on the headline metric, a fraction, and what it costs."""

    comparison: Comparison | None  # with the baseline; None: the baseline itself
    gain: Inference | None  # None: not stored, or the baseline
    cost: Cost
    train_s: float | None  # None: not stored

    @property
    def name(self) -> str:
        """Return the arm's name."""
        return self.comparison.label if self.comparison else BASELINE

    def at(self, against: str) -> float | None:
        """Where it stands on an axis of costs."""
        if against == "training":
            return self.train_s
        latency_ms = 1000 * self.cost.latency[1024].median_s
        return latency_ms if against == "latency" else float(self.cost.request_bytes)


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(cost)


def cost(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[
        Path | None, typer.Option(help="Draw gain against cost into this .png, .svg or .pdf.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="The drawing's axis of costs: latency, bytes or training.")
    ] = "latency",
) -> None:
    """Show for each arm of FILE: gain, parameters, training, latency, bytes held and moved.

    Gains and training come from what is stored. Latencies are measured here, now, on one thread,
    packing included, with an untrained model of the first seed.
    """
    from ctrbench.analysis.matrices import judged
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records

    if against not in AXES:
        raise ConfigError(f"--against {against!r}: one of {', '.join(AXES)}.")
    workspace: Workspace = context.obj
    require_drawable(output)
    matrix = read_matrix(file, workspace)
    records = stored_records(workspace, list(matrix.cells()))
    gains = judged(workspace, matrix, records)
    places, refused = _places(workspace, matrix, records, gains)
    _print(places, matrix.file.headline)
    if output is not None:
        _draw(places, against, matrix.file.headline, output)
        typer.echo(f"wrote {output}")
    for told in refused:
        typer.echo(told, err=True)
    if refused:
        raise typer.Exit(1)


def _places(
    workspace: Workspace,
    matrix: Matrix,
    records: dict[str, CellRecord],
    gains: dict[Comparison, Inference],
) -> tuple[list[Place], list[str]]:
    """The arms that could be measured, the baseline first, and why the others could not."""
    import torch

    from ctrbench.analysis import Comparison
    from ctrbench.runner.cost import measure_cost

    seeds, threads = matrix.file.seeds, torch.get_num_threads()
    compared = [
        Comparison(row, column)
        for row in matrix.rows
        if row.control is None
        for column in matrix.columns
    ]
    places: list[Place] = []
    refused = []
    torch.set_num_threads(1)
    try:
        for comparison in (None, *compared):
            row = comparison.row if comparison else None
            column = comparison.column if comparison else None
            hashes = [matrix.cell(row, column, seed).hash for seed in seeds]
            done = [records[h] for h in hashes if h in records and records[h].status == "done"]
            try:
                measured = measure_cost(workspace, matrix.cell(row, column, seeds[0]))
            except CtrBenchError as error:
                if comparison is None:
                    raise
                refused.append(f"{comparison.label}: {error}")
                continue
            took = [record.seconds["train"] for record in done if "train" in record.seconds]
            train_s = fmean(took) if took else None
            gain = gains.get(comparison) if comparison else None
            places.append(Place(comparison, gain, measured, train_s))
    finally:
        torch.set_num_threads(threads)
    return places, refused


def _print(places: list[Place], headline: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("arm", overflow="fold")
    names = (
        f"{find(headline).title}, pp",
        "parameters",
        "training, s",
        "1: ms",
        "p99",
        "1,024: ms",
    )
    for name in (*names, "p99", "bytes held", "moved"):
        table.add_column(name, justify="right", overflow="fold")
    baseline = places[0].cost.parameters
    for place in places:
        found, latency = place.cost, place.cost.latency
        table.add_row(
            place.name,
            "–" if place.gain is None else f"{100 * place.gain.estimate:+.2f}",
            f"{found.parameters:,}" if place is places[0] else f"{found.parameters - baseline:+,}",
            "–" if place.train_s is None else f"{place.train_s:.1f}",
            *(
                f"{1000 * value:.2f}"
                for size in (1, 1024)
                for value in (latency[size].median_s, latency[size].p99_s)
            ),
            f"{found.item_bytes:,}",
            f"{found.request_bytes:,}",
        )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
    console.print(
        "Latency of a request of 1 and of 1,024 impressions: median and 99th percentile, packing "
        "and model, one thread. Bytes: held for each item, moved for an impression with a full "
        "history, for the images' sake.",
        soft_wrap=True,
        highlight=False,
    )


def _draw(places: list[Place], against: str, headline: str, output: Path) -> None:
    """Gains with their intervals against a cost; a line joins the arms that no other beats.

    A colour for each mode, a mark for each version.
    """
    from ctrbench.cli._drawings import new_figure, save

    shown = [
        (place.comparison, x, place.gain)
        for place in places
        if place.comparison is not None
        and place.gain is not None
        and (x := place.at(against)) is not None
    ]
    if not shown:
        raise ConfigError("no gain is stored yet: `ctrbench run` the file first.")
    figure = new_figure(10, 5)
    axes = figure.add_subplot()
    versions = list(dict.fromkeys(one.row for one, *_ in shown))
    modes = list(dict.fromkeys(one.column for one, *_ in shown))
    for one, x, gain in shown:
        reach = [[100 * (gain.estimate - gain.low)], [100 * (gain.high - gain.estimate)]]
        axes.errorbar(
            x,
            100 * gain.estimate,
            yerr=reach,
            fmt=MARKS[versions.index(one.row) % len(MARKS)],
            color=f"C{modes.index(one.column)}",
            capsize=2,
            label=one.label,
        )
    front = _front([(x, gain.estimate) for _, x, gain in shown])
    ends = [x for x, _ in front], [100 * y for _, y in front]
    axes.plot(*ends, color="0.6", zorder=0, label="no other beats")
    axes.axhline(0, color="0.8", linewidth=1)
    axes.set_xlabel(AXES[against])
    axes.set_ylabel(f"{find(headline).title} over the baseline, pp, 95 % interval")
    figure.legend(loc="outside right upper", fontsize=8)
    save(figure, output)


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other beats in both: no dearer and better.

    >>> _front([(1, 0.2), (2, 0.1), (3, 0.3)])
    [(1, 0.2), (3, 0.3)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front
