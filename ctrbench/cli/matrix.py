"""`ctrbench plan | run | cells | status | tables | tune FILE`: a matrix on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import (
    FAILED,
    TEXT,
    AddressOption,
    BenchmarkArgument,
    DetailOption,
    ExecutorOption,
    FormatOption,
    FullOption,
    GpuShareOption,
    JobsOption,
    JsonOption,
    MaxMemoryOption,
    MaxTimeOption,
    RetryOption,
    executor_of,
    format_of,
    jobs_of,
    limits_of,
)
from ctrbench.cli._processes import local_processes, processes
from ctrbench.cli.init import DatasetOfRun, FileOfRun, ModesOfRun, SeedsOfRun, VersionsOfRun
from ctrbench.errors import ConfigError
from ctrbench.json_text import as_json, as_json_line
from ctrbench.terminal.output import echo, show, write

KeepOption = Annotated[
    bool, typer.Option("--keep-models", help="Store the weights of each cell, for `export`.")
]
JSONL = "jsonl"
TraceOption = Annotated[
    bool, typer.Option("--trace", help="Record how each cell learns, for `ctrbench explain`.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (plan, run, cells, run_cell, status, tables, pack, tune):
        app.command(command.__name__.replace("_", "-"))(command)


def plan(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    json: JsonOption = False,
) -> None:
    """Check FILE and show its cells: stored, missing, expected time and memory."""
    from ctrbench.api import matrices as api
    from ctrbench.terminal import matrices as terminal

    matrix = ctrbench.read_matrix(file, context.obj)
    found = ctrbench.plan_cells(matrix, jobs_of(jobs))
    known = ctrbench.notices(matrix)
    show(found, json, terminal.show_plan)
    terminal.show_notices(known, training=found.expected is not None)
    if found.expected is not None:
        terminal.show_lack_of_memory(found.expected)
        api.require_memory(matrix)


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
    traced: TraceOption = False,
    keep_models: KeepOption = False,
    until_decided: Annotated[
        bool, typer.Option(help="Add seeds until every comparison is decided or cannot be decided.")
    ] = False,
    most_seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Maximum seeds of --until-decided. Default: 20."),
    ] = None,
    executor: ExecutorOption = "processes",
    address: AddressOption = None,
    gpu_share: GpuShareOption = None,
    max_time: MaxTimeOption = None,
    max_memory: MaxMemoryOption = None,
    effect: Annotated[
        str | None,
        typer.Option(
            help="The smallest effect that --until-decided must detect. Default: that of FILE, "
            "else 0.1pp."
        ),
    ] = None,
    track: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Also send cells and table to tensorboard, mlflow or wandb."
        ),
    ] = "",
    report: Annotated[bool, typer.Option(help="Write results/reports/FILE.html.")] = True,
    full: FullOption = False,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Train the cells of FILE that are not stored yet; print the answer and the headline table.

    Exit code 1: some cells failed.
    """
    from ctrbench.api import matrices as api
    from ctrbench.reports import long_table, render
    from ctrbench.terminal import matrices as terminal

    format = format_of(format, json)
    api.check_options(traced, until_decided, most_seeds, effect, keep_models)
    place = executor_of(executor, jobs, address, gpu_share, max_time, max_memory)
    matrix = api.quick_matrix(file, dataset, versions, modes, seeds, workspace=context.obj)
    found = ctrbench.run(
        matrix,
        place,
        retry_failed=retry_failed,
        traced=traced,
        keep_models=keep_models,
        until_decided=until_decided,
        most_seeds=most_seeds,
        effect=effect,
        progress=detail,
        track=[name.strip() for name in track.split(",")] if track else (),
    )
    if found.outcome is not None and json:
        write(as_json({"outcome": found.outcome, "table": long_table(found.table)}))
    else:
        write(render(found.table, format, full))
        if found.outcome is not None:
            terminal.show_states(found.outcome, found.table.answer)
    if report:
        from ctrbench.terminal.reports import show_report

        show_report(api.report_of_run(found), format == TEXT and not full)
    if terminal.show_failed(found.status):
        raise typer.Exit(FAILED)


def cells(
    context: typer.Context,
    file: BenchmarkArgument,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only cells that `run` trains.")
    ] = False,
    retry_failed: RetryOption = False,
    format: Annotated[str, typer.Option(help="text, or jsonl: one JSON object per line.")] = "text",
) -> None:
    """List the cells of FILE with their hash, state and requirements, for a cluster's scheduler."""
    from ctrbench.terminal import matrices as terminal

    if format not in (TEXT, JSONL):
        raise ConfigError(f"--format {format!r} is not valid: give {TEXT} or {JSONL}.")
    matrix = ctrbench.read_matrix(file, context.obj)
    found = ctrbench.list_cells(matrix, missing=missing, retry_failed=retry_failed)
    if format == JSONL:
        write("".join(map(as_json_line, found)))
    else:
        terminal.show_cells(found)


def run_cell(
    context: typer.Context,
    file: BenchmarkArgument,
    cell: Annotated[str, typer.Argument(metavar="HASH", help="Its hash; `cells` lists them.")],
    retry_failed: RetryOption = False,
    traced: TraceOption = False,
    keep_models: KeepOption = False,
    max_time: MaxTimeOption = None,
    max_memory: MaxMemoryOption = None,
) -> None:
    """Train one cell of FILE, unless it is stored: in this process, or with limits in another.

    Under torchrun every process computes its share of each batch. Exit code 1: the cell failed.
    """
    from ctrbench.api.matrices import help_to_run_cell
    from ctrbench.terminal.matrices import show_record

    limits = limits_of(max_time, max_memory)
    with processes() as first:
        if not first:
            help_to_run_cell(context.obj)
            return
        matrix = ctrbench.read_matrix(file, context.obj)
        record = ctrbench.run_cell(
            matrix,
            cell,
            retry_failed=retry_failed,
            traced=traced,
            keep_models=keep_models,
            limits=limits,
            local_processes=local_processes(),
        )
    if show_record(record):
        raise typer.Exit(FAILED)


def status(context: typer.Context, file: BenchmarkArgument, json: JsonOption = False) -> None:
    """Show how many cells of FILE are stored, failed, running and missing, and why cells failed."""
    from ctrbench.terminal import matrices as terminal

    show(ctrbench.status(ctrbench.read_matrix(file, context.obj)), json, terminal.show_status)


def pack(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[
        Path | None, typer.Option(help="Default: results/published/<name of FILE>.parquet.")
    ] = None,
) -> None:
    """Write the stored cells of FILE into one file that suffices to print its tables."""
    found = ctrbench.pack(ctrbench.read_matrix(file, context.obj), output)
    size = found.size / 1e6
    echo(f"wrote {found.path}: {found.cells} of {found.planned} cells, {size:.1f} MB")


def tables(
    context: typer.Context,
    file: BenchmarkArgument,
    format: FormatOption = "text",
    output: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    full: FullOption = False,
    json: JsonOption = False,
) -> None:
    """Print the answer and the headline table of FILE from stored cells; trains nothing."""
    from ctrbench.api import matrices as api
    from ctrbench.atomic import atomic_file, check_writable
    from ctrbench.reports import render
    from ctrbench.terminal.reports import show_report

    format = format_of(format, json)
    if output is not None:
        check_writable(output)
    matrix = ctrbench.read_matrix(file, context.obj)
    text = render(ctrbench.tables(matrix), format, full)
    if output is None:
        write(text)
        if format == TEXT and not full:
            show_report(api.stored_report(matrix), brief=True)
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
    executor: ExecutorOption = "processes",
    address: AddressOption = None,
    gpu_share: GpuShareOption = None,
    max_time: MaxTimeOption = None,
    max_memory: MaxMemoryOption = None,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Choose batch size and learning rate of the baseline on `valid`, and use them for all modes.

    The `tune` section of FILE lists the candidates. The learning-rate factor of the image block is
    chosen in the same way, with the same number of trials per mode. Trials are stored as cells.
    """
    from ctrbench.terminal import matrices as terminal

    place = executor_of(executor, jobs, address, gpu_share, max_time, max_memory)
    matrix = ctrbench.read_matrix(file, context.obj)
    tuning = ctrbench.tune(matrix, place, write=write, progress=detail)
    show(tuning, json, terminal.show_tuning)
    if write:
        echo(f"wrote the choice into {file}", err=json)
