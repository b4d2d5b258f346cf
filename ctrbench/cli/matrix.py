"""`ctrbench plan | run | status | tables | tune FILE`: the matrix from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.cli._options import (
    FAILED,
    TEXT,
    BenchmarkArgument,
    DetailOption,
    FormatOption,
    FullOption,
    JobsOption,
    JsonOption,
    RetryOption,
    format_of,
    jobs_of,
)
from ctrbench.cli.init import DatasetOfRun, FileOfRun, ModesOfRun, SeedsOfRun, VersionsOfRun
from ctrbench.errors import ConfigError
from ctrbench.json_text import as_json
from ctrbench.terminal.output import echo, show, write
from ctrbench.workspace import Workspace

DEFAULT_MOST_SEEDS = 20  # of --until-decided


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (plan, run, status, tables, pack, tune):
        app.command()(command)


def plan(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    json: JsonOption = False,
) -> None:
    """Check FILE and show its cells: stored, missing, expected time and memory."""
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import missing_cells, stored_records
    from ctrbench.runner.memory import require_memory
    from ctrbench.runner.states import notices, planned
    from ctrbench.terminal import matrices as terminal

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    found = planned(workspace, matrix, jobs_of(jobs))
    known = notices(matrix, stored_records(workspace, matrix.cells()))
    show(found, json, terminal.show_plan)
    terminal.show_notices(known, training=found.expected is not None)
    if found.expected is not None:
        terminal.show_lack_of_memory(found.expected)
        require_memory(workspace, missing_cells(workspace, matrix.cells()))


def run(
    context: typer.Context,
    file: FileOfRun = None,
    dataset: DatasetOfRun = None,
    versions: VersionsOfRun = None,
    modes: ModesOfRun = None,
    seeds: SeedsOfRun = None,
    jobs: JobsOption = "auto",
    retry_failed: RetryOption = False,
    format: FormatOption = "text",
    traced: Annotated[
        bool, typer.Option("--trace", help="Record how each cell learns, for `ctrbench explain`.")
    ] = False,
    until_decided: Annotated[
        bool, typer.Option(help="Add seeds until every comparison is decided or cannot be decided.")
    ] = False,
    most_seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Maximum seeds of --until-decided. Default: 20."),
    ] = None,
    effect: Annotated[
        str | None,
        typer.Option(
            help="The smallest effect that --until-decided must detect. Default: that of FILE, "
            "else 0.1pp."
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write results/reports/FILE.html.")] = True,
    full: FullOption = False,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Train the cells of FILE that are not stored yet; print the answer and the headline table.

    Exit code 1: some cells failed.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.matrix import read_matrix
    from ctrbench.plan import effect_of
    from ctrbench.reports import long_table, render
    from ctrbench.runner import run_matrix, stored_records
    from ctrbench.runner.sequential import run_until_decided
    from ctrbench.runner.states import notices
    from ctrbench.runner.states import status as status_of
    from ctrbench.starting_file import file_of_run
    from ctrbench.terminal import matrices as terminal
    from ctrbench.terminal.progress import RunDisplay

    workspace: Workspace = context.obj
    format = format_of(format, json)
    if not until_decided and (most_seeds is not None or effect is not None):
        raise ConfigError("--most-seeds and --effect require --until-decided; add it.")
    if until_decided and traced:
        raise ConfigError("--trace and --until-decided exclude each other; use --trace later.")
    file = file_of_run(workspace, file, dataset, versions, modes, seeds)
    matrix = read_matrix(file, workspace)
    terminal.show_notices(notices(matrix, stored_records(workspace, matrix.cells())))
    wanted = effect_of(effect, matrix.file.effect)
    looks, outcome = 1, None
    with RunDisplay(detail) as display:
        if until_decided:
            most = DEFAULT_MOST_SEEDS if most_seeds is None else most_seeds
            outcome = run_until_decided(
                workspace, matrix, jobs_of(jobs), retry_failed, display, most, wanted
            )
            matrix = outcome.matrix.with_effect(effect)
            records, looks = outcome.records, outcome.looks
        else:
            records = run_matrix(workspace, matrix, jobs_of(jobs), retry_failed, display, traced)
    table = comparison_table(workspace, matrix, records, looks)
    if outcome is not None and json:
        write(as_json({"outcome": outcome, "table": long_table(table)}))
    else:
        write(render(table, format, full))
        if outcome is not None:
            terminal.show_states(outcome, table.answer)
    if report:  # imported here, because no cell needs it
        from ctrbench.page import write_report_of_run
        from ctrbench.terminal.reports import show_report

        written = write_report_of_run(workspace, file, matrix, records, looks)
        show_report(written, format == TEXT and not full)
    if terminal.show_failed(status_of(matrix, records)):
        raise typer.Exit(FAILED)


def status(context: typer.Context, file: BenchmarkArgument, json: JsonOption = False) -> None:
    """Show how many cells of FILE are stored, failed, running and missing, and why cells failed."""
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records
    from ctrbench.runner.in_progress import running_cells
    from ctrbench.runner.states import status as status_of
    from ctrbench.terminal import matrices as terminal

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    running = running_cells(workspace, matrix.cells())
    found = status_of(matrix, stored_records(workspace, matrix.cells()), running)
    show(found, json, terminal.show_status)


def pack(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[
        Path | None, typer.Option(help="Default: results/published/<name of FILE>.parquet.")
    ] = None,
) -> None:
    """Write the stored cells of FILE into one file that suffices to print its tables."""
    from ctrbench.analysis.matrices import printed_keys
    from ctrbench.atomic import check_writable
    from ctrbench.matrix import read_matrix
    from ctrbench.store import PUBLISHED, Store

    workspace: Workspace = context.obj
    target = output or workspace.results / PUBLISHED / f"{file.stem}.parquet"
    check_writable(target)
    matrix = read_matrix(file, workspace)
    cells = list(matrix.shown_cells())
    measures = printed_keys(workspace, matrix)
    count = Store(workspace).pack(target, cells, matrix.dataset.name, measures)
    size = target.stat().st_size / 1e6
    echo(f"wrote {target}: {count} of {len(cells)} cells, {size:.1f} MB")


def tables(
    context: typer.Context,
    file: BenchmarkArgument,
    format: FormatOption = "text",
    output: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """Print the answer and the headline table of FILE from stored cells; trains nothing."""
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.atomic import atomic_file, check_writable
    from ctrbench.matrix import read_matrix
    from ctrbench.page import report_of_run
    from ctrbench.reports import render
    from ctrbench.runner import completed
    from ctrbench.terminal.reports import show_report

    workspace: Workspace = context.obj
    format = format_of(format, json)
    if output is not None:
        check_writable(output)
    matrix = read_matrix(file, workspace)
    records = completed(workspace, matrix)
    text = render(comparison_table(workspace, matrix, records), format, full)
    if output is None:
        write(text)
        if format == TEXT and not full:
            show_report(report_of_run(workspace, file, records), brief=True)
        return
    with atomic_file(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    echo(f"wrote {output}")


def tune(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    write: Annotated[
        bool, typer.Option(help="Write the choice into FILE; its comments stay.")
    ] = False,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Choose batch size and learning rate of the baseline on `valid`, and use them for all modes.

    The `tune` section of FILE lists the candidates. The learning-rate factor of the image block is
    chosen in the same way, with the same number of trials per mode. Trials are stored as cells.
    """
    from ctrbench.benchmark_file import write_choice
    from ctrbench.matrix import read_matrix
    from ctrbench.runner.tune import tune as choose
    from ctrbench.terminal import matrices as terminal
    from ctrbench.terminal.progress import RunDisplay

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    with RunDisplay(detail) as display:
        tuning = choose(workspace, matrix, jobs_of(jobs), display)
    show(tuning, json, terminal.show_tuning)
    if write:
        write_choice(file, tuning.training, tuning.factors)
        echo(f"wrote the choice into {file}", err=json)
