"""`ctrbench screen FILE`: all versions with one mode, then the best with all."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.cli.matrix import BenchmarkArgument, FormatOption, JobsOption, jobs_of
from ctrbench.metrics import find
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.plan import Matrix
    from ctrbench.runner.screening import Screened
    from ctrbench.schema import CellRecord


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(screen)


def screen(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    retry_failed: Annotated[bool, typer.Option(help="Train failed cells again.")] = False,
    format: FormatOption = "text",
) -> None:
    """Try every version of FILE with one mode and few seeds, then confirm the best with all.

    The file's `screen:` says how (mode, seeds, keep); the choice is made on `valid`. Where a mode
    is stored with every version, it is said how well the screen's order goes with it.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.cli._matrix_views import RunDisplay, print_findings
    from ctrbench.matrix import read_matrix
    from ctrbench.reports import check_format, render
    from ctrbench.runner import run_matrix, stored_records
    from ctrbench.runner.screening import screen as run_screen

    workspace: Workspace = context.obj
    check_format(format)
    matrix = read_matrix(file, workspace)
    print_findings(matrix)
    with RunDisplay() as display:
        screened = run_screen(workspace, matrix, jobs_of(jobs), retry_failed, display)
    with RunDisplay() as display:
        second = screened.second
        records = run_matrix(workspace, second, jobs_of(jobs), retry_failed, display)
    sys.stdout.write(render(comparison_table(workspace, second, records), format))
    _tell(matrix, screened, stored_records(workspace, matrix.cells()))


def _tell(matrix: Matrix, screened: Screened, records: dict[str, CellRecord]) -> None:
    from ctrbench.runner.screening import agreements, saved

    metric, settings = find(matrix.file.headline).title, screened.settings
    seeds = ", ".join(map(str, settings.seeds))
    typer.echo(f"\nScreened with {settings.mode}, seeds {seeds}; {metric} on valid:")
    for version, value in screened.valid.items():
        typer.echo(f"- {version}: {value:.4f}{' (kept)' if version in screened.kept else ''}")
    taken, whole = saved(screened, matrix)
    less = f", {1 - taken / whole:.0%} less" if taken < whole else ": nothing was saved"
    typer.echo(
        f"{taken} cells in place of {whole}{less}. Versions that were left out were not refuted: "
        "few seeds on valid say little."
    )
    for found in agreements(matrix, screened, records):
        if found.versions < 3:  # two are in the same order, or not
            continue
        told = "" if math.isnan(found.low) else f" [{found.low:+.2f}, {found.high:+.2f}]"
        typer.echo(
            f"Every version is stored with {found.mode}: rank correlation of the screen's order "
            f"with it on test, {found.versions} versions: {found.correlation:+.2f}{told}."
        )
