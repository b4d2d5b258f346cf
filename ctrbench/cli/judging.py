"""`ctrbench compare | power | ranks`: what stored cells decide, and what it would take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctrbench.cli.matrix import effect_of
from ctrbench.errors import ConfigError, unknown_name
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.analysis.two_arms import Compared

GATE_FAILED = 1  # exit code

ArmArgument = Annotated[
    str,
    typer.Argument(
        help="DATASET/VERSION/MODE as below results/, with --file VERSION/MODE, or a Parquet or "
        "CSV file of predictions (user_id, click, p_click; optionally impression_id, item_id, "
        "group_id, weight and seed)."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(compare)
    app.command()(power)
    app.command()(ranks)


def compare(
    context: typer.Context,
    a: ArmArgument,
    b: Annotated[str, typer.Argument(help="What A is set against; `none` is the baseline.")],
    file: Annotated[
        Path | None, typer.Option(help="A benchmark file that says which settings are meant.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="A metric with intervals; see `ctrbench list`.")
    ] = "gauc",
    margin: Annotated[str, typer.Option(help="A loss below it does not matter.")] = "0.05pp",
    fail_on: Annotated[
        Literal["worse", "not-better"] | None,
        typer.Option(
            help="End with exit code 1 if A is worse, and not surely by less than the margin; or "
            "if it is not shown to be better. A B that ranks worse than chance fails either."
        ),
    ] = None,
    any_settings: Annotated[
        bool, typer.Option("--any-settings", help="Compare arms that were not trained alike, too.")
    ] = False,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="p_click of the files are any numbers, such as logits."),
    ] = False,
    ignore: Annotated[
        str, typer.Option(metavar="A,B", help="Columns of the files that are left aside.")
    ] = "",
) -> None:
    """Set A against B, seed by seed, on the same test impressions."""
    from ctrbench.cli._judging_views import describe
    from ctrbench.stats import parse_points

    workspace: Workspace = context.obj
    loss = parse_points(margin, "--margin")
    left = tuple(name.strip() for name in ignore.split(",") if name.strip())
    found = _compared(workspace, a, b, file, metric, any_settings, scores, left)
    typer.echo(describe(found, loss))
    if found.below_chance:
        failed = True
    elif fail_on == "worse":  # a loss that is surely below the margin does not matter
        failed = found.inference.high < 0 and found.inference.low <= -loss
    else:
        failed = found.inference.low <= 0
    if fail_on is not None:
        typer.echo(f"Gate --fail-on {fail_on}: {'failed' if failed else 'passed'}.")
        if failed:
            sys.exit(GATE_FAILED)


def _compared(
    workspace: Workspace,
    a: str,
    b: str,
    file: Path | None,
    metric: str,
    any_settings: bool,
    scores: bool,
    ignore: tuple[str, ...],
) -> Compared:
    """Two files, two arms of a benchmark file, or two stored arms, whichever the names are."""
    from ctrbench import metrics
    from ctrbench.analysis.prediction_files import is_file
    from ctrbench.analysis.two_arms import (
        compare_arms,
        compare_predictions,
        matrix_arm,
        matrix_cells,
        stored_arms,
    )
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import complete, stored_records

    known = [one.name for one in metrics.with_influence()]
    if metric not in known:
        raise ConfigError(unknown_name("metric", metric, known))
    if is_file(a) or is_file(b):
        if not (is_file(a) and is_file(b)) or file is not None:
            raise ConfigError(
                f"{a} and {b}: give two files of predictions and no --file, or two stored arms."
            )
        return compare_predictions(a, b, metric, scores, ignore)
    if scores or ignore:
        raise ConfigError("--scores and --ignore are for files of predictions.")
    if file is None:
        ours, theirs = stored_arms(workspace, a, b)
    else:
        matrix = read_matrix(file, workspace)
        cells = [cell for name in (a, b) for cell in matrix_cells(matrix, name)]
        records = complete(workspace, matrix, stored_records(workspace, cells))
        ours, theirs = (matrix_arm(matrix, records, name) for name in (a, b))
    return compare_arms(workspace, ours, theirs, metric, any_settings)


def power(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The benchmark file (YAML).")],
    effect: Annotated[
        str | None,
        typer.Option(help="The difference that should be seen; else the file's, else 0.1pp."),
    ] = None,
) -> None:
    """How many seeds, or how many more test users, it takes to see an effect in FILE's matrix."""
    from ctrbench.analysis.power import required
    from ctrbench.cli._judging_views import describe_power
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import complete, stored_records

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    wanted = effect_of(effect, matrix.file.effect)
    records = complete(workspace, matrix, stored_records(workspace, matrix.cells()))
    found = required(workspace, matrix, records, wanted)
    typer.echo(describe_power(found, matrix.file.headline, wanted))


def ranks(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Benchmark files, a data set each.")
    ],
) -> None:
    """Rank modes and versions over the data sets of several FILEs; say if it could be chance."""
    from ctrbench.analysis.ranking import rankings
    from ctrbench.cli._ranking_views import describe_rankings
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import complete, stored_records

    workspace: Workspace = context.obj
    matrices = [read_matrix(file, workspace) for file in files]
    stored = [
        (matrix, complete(workspace, matrix, stored_records(workspace, matrix.cells())))
        for matrix in matrices
    ]
    typer.echo(describe_rankings(rankings(workspace, stored)))
