"""`ctrbench compare | import-predictions | export-predictions | power | ranks`: decisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

import ctrbench
from ctrbench.cli._options import FAILED, BenchmarkArgument, DatasetOption, JsonOption
from ctrbench.terminal import completing
from ctrbench.terminal.output import show

ArmArgument = Annotated[
    str,
    typer.Argument(
        help="DATASET/VERSION/MODE as below results/ (`none`: the baseline), with --file "
        "VERSION/MODE, or a Parquet or CSV file of predictions (user_id, click, p_click; "
        "optionally impression_id, item_id, group_id, weight and seed).",
        autocompletion=completing.arms,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (compare, import_predictions, export_predictions, power, ranks):
        app.command()(command)


def compare(
    context: typer.Context,
    a: ArmArgument,
    b: ArmArgument,
    file: Annotated[
        Path | None, typer.Option(help="A benchmark file that selects the settings.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="A metric with intervals; see `ctrbench list`.")
    ] = "gauc",
    margin: Annotated[str, typer.Option(help="A smaller loss is acceptable.")] = "0.05pp",
    fail_on: Annotated[
        Literal["worse", "not-better"] | None,
        typer.Option(
            help="Exit with code 1 if A is worse and a loss of the margin is not excluded; or if A "
            "is not shown to be better. If B ranks worse than chance, both fail."
        ),
    ] = None,
    any_settings: Annotated[
        bool, typer.Option("--any-settings", help="Also compare arms with different settings.")
    ] = False,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="p_click of the files may be any numbers, such as logits."),
    ] = False,
    ignore: Annotated[
        str, typer.Option(metavar="A,B", help="Columns of the files to ignore.")
    ] = "",
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Also write the result: as JSON (.json), or as Markdown for a pull request (.md).",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare A with B, paired by seed, on the same test impressions."""
    from ctrbench.reports import check_decision_files, write_decision
    from ctrbench.terminal import comparisons as terminal

    check_decision_files(output or ())
    decision = ctrbench.compare(
        a,
        b,
        matrix=None if file is None else ctrbench.read_matrix(file, context.obj),
        metric=metric,
        margin=margin,
        fail_on=fail_on,
        any_settings=any_settings,
        scores=scores,
        ignore=[name.strip() for name in ignore.split(",") if name.strip()],
        workspace=context.obj,
    )
    for path in output or ():
        write_decision(decision, path)
    show(decision, json, terminal.show)
    if decision.failed:
        sys.exit(FAILED)


def import_predictions(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="Parquet or CSV: impression_id of `ctrbench datasets export`, or user_id, item_id "
            "and timestamp; p_click (probabilities) or score (any numbers); optionally seed."
        ),
    ],
    name: Annotated[str, typer.Option("--as", help="The name of the predictions.")],
    dataset: DatasetOption,
    label: Annotated[
        str | None, typer.Option(help="The predicted label of the data set. Default: the click.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import another model's predictions of the test impressions, as a row of tables.

    A benchmark file shows them if it contains `predictions: [NAME]`.
    """
    from ctrbench.terminal import comparisons as terminal

    home = context.obj
    found = ctrbench.import_predictions(file, name, dataset=dataset, label=label, workspace=home)
    show(found, json, terminal.show_imported)


def export_predictions(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to create.")],
    json: JsonOption = False,
) -> None:
    """Write the stored predictions of FILE per impression, and results per user, as Parquet."""
    from ctrbench.terminal import comparisons as terminal

    found = ctrbench.export_predictions(ctrbench.read_matrix(file, context.obj), output)
    show(found, json, terminal.show_exported)


def power(
    context: typer.Context,
    file: BenchmarkArgument,
    effect: Annotated[
        str | None, typer.Option(help="The effect to detect. Default: that of FILE, else 0.1pp.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compute how many seeds or test users FILE requires to detect an effect."""
    from ctrbench.terminal import comparisons as terminal

    show(ctrbench.power(ctrbench.read_matrix(file, context.obj), effect), json, terminal.show_power)


def ranks(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Benchmark files, one per data set.")
    ],
    json: JsonOption = False,
) -> None:
    """Rank modes and versions over the data sets of several FILEs, and test the ranking."""
    from ctrbench.terminal import rankings as terminal

    show(
        ctrbench.ranks([ctrbench.read_matrix(file, context.obj) for file in files]),
        json,
        terminal.show,
    )
