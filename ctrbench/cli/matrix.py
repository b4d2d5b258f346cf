"""`ctrbench plan | run | status | tables | tune FILE`: the matrix from the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrbench.errors import ConfigError
from ctrbench.schema import CellRecord
from ctrbench.workspace import Workspace

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000": two cores' time; cgroup v2
MOST_SEEDS = 20  # of --until-decided
DEFAULT_EFFECT = "0.1pp"  # what a team looks for, where neither it nor its file says

BenchmarkArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The benchmark file (YAML).")
]
JobsOption = Annotated[
    str, typer.Option(help="Cells at once, each a process of one thread; auto: one per core.")
]
FormatOption = Annotated[
    str, typer.Option("--format", help="A name from `ctrbench list`: text, markdown, latex ...")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (plan, run, status, tables, pack, tune):
        app.command()(command)


def plan(context: typer.Context, file: BenchmarkArgument, jobs: JobsOption = "auto") -> None:
    """Check FILE and show its cells: what is stored, what is missing, time and memory expected."""
    from ctrbench.cli._matrix_views import print_plan
    from ctrbench.matrix import read_matrix

    workspace: Workspace = context.obj
    print_plan(workspace, read_matrix(file, workspace), jobs_of(jobs))


def run(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    retry_failed: Annotated[bool, typer.Option(help="Train failed cells again.")] = False,
    format: FormatOption = "text",
    traced: Annotated[
        bool,
        typer.Option("--trace", help="Record how each cell learns, for `ctrbench explain`."),
    ] = False,
    until_decided: Annotated[
        bool, typer.Option(help="Add seeds until every comparison is decided, or cannot be.")
    ] = False,
    most_seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="The budget of --until-decided; 20 unless said."),
    ] = None,
    effect: Annotated[
        str | None,
        typer.Option(
            help="The smallest effect that --until-decided has to decide; else the file's, else "
            "0.1pp."
        ),
    ] = None,
) -> None:
    """Train the cells of FILE that are not stored yet, then print the comparison table.

    Exit code 1: some cells failed.
    """
    from ctrbench.analysis.matrices import comparison_table, judged
    from ctrbench.cli._matrix_views import (
        RunDisplay,
        print_changed_modes,
        print_findings,
        print_missing_loops,
        print_states,
        print_zero_vectors,
    )
    from ctrbench.matrix import read_matrix
    from ctrbench.reports import check_format, render
    from ctrbench.runner import run_matrix, stored_records
    from ctrbench.runner.sequential import run_until_decided

    workspace: Workspace = context.obj
    check_format(format)
    if not until_decided and (most_seeds is not None or effect is not None):
        raise ConfigError("--most-seeds and --effect belong to --until-decided; add it.")
    if until_decided and traced:
        raise ConfigError("--trace and --until-decided do not go together; trace afterwards.")
    matrix = read_matrix(file, workspace)
    print_findings(matrix)
    print_changed_modes(matrix, stored_records(workspace, matrix.cells()))
    print_zero_vectors(matrix)
    print_missing_loops()
    wanted = effect_of(effect, matrix.file.effect)
    if not until_decided:
        with RunDisplay() as display:
            records = run_matrix(workspace, matrix, jobs_of(jobs), retry_failed, display, traced)
        sys.stdout.write(render(comparison_table(workspace, matrix, records), format))
        _end_with_failures(records)
        return
    with RunDisplay() as display:
        outcome = run_until_decided(
            workspace,
            matrix,
            jobs_of(jobs),
            retry_failed,
            display,
            MOST_SEEDS if most_seeds is None else most_seeds,
            wanted,
            lambda matrix, records, looks: judged(workspace, matrix, records, looks),
        )
    table = comparison_table(workspace, outcome.matrix, outcome.records, outcome.looks)
    sys.stdout.write(render(table, format))
    print_states(outcome, wanted)
    _end_with_failures(outcome.records)


def status(context: typer.Context, file: BenchmarkArgument) -> None:
    """Show how many cells of FILE are stored, failed and missing, and why cells failed."""
    from ctrbench.cli._matrix_views import print_status
    from ctrbench.matrix import read_matrix

    workspace: Workspace = context.obj
    print_status(workspace, read_matrix(file, workspace))


def pack(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[
        Path | None, typer.Option(help="Else results/published/<name of FILE>.parquet.")
    ] = None,
) -> None:
    """Put the stored cells of FILE into one file, from which tables are printed anywhere."""
    from ctrbench.analysis.matrices import printed_keys
    from ctrbench.atomic import check_writable
    from ctrbench.matrix import read_matrix
    from ctrbench.store import PUBLISHED, Store

    workspace: Workspace = context.obj
    target = output or workspace.results / PUBLISHED / f"{file.stem}.parquet"
    check_writable(target)
    matrix = read_matrix(file, workspace)
    cells = list(matrix.cells())
    measures = printed_keys(workspace, matrix)
    count = Store(workspace).pack(target, cells, matrix.dataset.name, measures)
    size = target.stat().st_size / 1e6
    typer.echo(f"wrote {target}: {count} of {len(cells)} cells, {size:.1f} MB")


def tables(
    context: typer.Context,
    file: BenchmarkArgument,
    format: FormatOption = "text",
    output: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
) -> None:
    """Print the comparison table of FILE from what is stored; trains nothing."""
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.atomic import atomic_file, check_writable
    from ctrbench.matrix import read_matrix
    from ctrbench.reports import check_format, render
    from ctrbench.runner import complete, stored_records

    workspace: Workspace = context.obj
    check_format(format)
    if output is not None:
        check_writable(output)
    matrix = read_matrix(file, workspace)
    records = complete(workspace, matrix, stored_records(workspace, matrix.cells()))
    text = render(comparison_table(workspace, matrix, records), format)
    if output is None:
        sys.stdout.write(text)
        return
    with atomic_file(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {output}")


def tune(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    write: Annotated[bool, typer.Option(help="Put the choice into FILE, comments kept.")] = False,
) -> None:
    """Choose batch size and learning rate on `valid`, for the baseline only, and hold them for all.

    Tries what the file's `tune` section lists; the image block's learning-rate factor is chosen
    the same way, with as many trials for every mode. Trials are stored like any other cell.
    """
    from ctrbench.benchmark_file import write_choice
    from ctrbench.cli._matrix_views import RunDisplay, print_tuning
    from ctrbench.matrix import read_matrix
    from ctrbench.runner.tune import tune as choose

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    with RunDisplay() as display:
        tuning = choose(workspace, matrix, jobs_of(jobs), display)
    print_tuning(tuning, matrix)
    if write:
        write_choice(file, tuning.training, tuning.factors)
        typer.echo(f"wrote the choice into {file}")


def _end_with_failures(records: Mapping[str, CellRecord]) -> None:
    """Say how many cells failed, if any, and end with exit code 1."""
    failed = sum(record.status == "failed" for record in records.values())
    if failed:
        typer.echo(
            f"{failed} cell(s) failed: `ctrbench status FILE` says why, `ctrbench run FILE "
            "--retry-failed` trains them again.",
            err=True,
        )
        raise typer.Exit(1)


def effect_of(option: str | None, of_file: str | None) -> float:
    """The effect asked for, a fraction: the option's, else the file's, else the default.

    Raises:
        ConfigError: it has no unit, or is 0.
    """
    from ctrbench.stats import parse_points

    asked = option is not None
    text = option if asked else of_file or DEFAULT_EFFECT
    points = parse_points(text, "--effect" if asked else "effect")
    if points == 0:
        raise ConfigError(f"effect {text} will not do: no number of seeds shows a difference of 0.")
    return points


def jobs_of(text: str) -> int:
    """The number of cells at once that `--jobs` asks for.

    Raises:
        ConfigError: it is no number of processes.
    """
    if text == "auto":
        return max(_cores(), 1)
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) < 1:
        raise ConfigError(f"--jobs {text!r} will not do: give a number from 1 to 9999, or auto.")
    return int(text)


def _cores() -> int:
    """The cores this process may use; a container often has fewer than the machine."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, _cores_of_quota(CPU_QUOTA) or cores)


def _cores_of_quota(file: Path) -> int | None:
    """The whole cores of a container's share of time; None without a limit."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(int(quota) // int(period), 1)
    except (OSError, ValueError):  # no such file, or "max"
        return None
