"""`ctrbench screen FILE`: all versions with one mode, then the best with all modes."""

from __future__ import annotations

import typer

from ctrbench.cli._options import (
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
from ctrbench.json_text import as_json
from ctrbench.terminal.output import write
from ctrbench.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(screen)


def screen(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    retry_failed: RetryOption = False,
    format: FormatOption = "text",
    full: FullOption = False,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Train every version of FILE with one mode and few seeds, then the best with all modes.

    `screen:` in FILE sets mode, seeds and keep; the versions are chosen on `valid`. For each mode
    that is stored with every version, the rank correlation with the screen is shown.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.matrix import read_matrix
    from ctrbench.reports import long_table, render
    from ctrbench.runner import run_matrix, stored_records
    from ctrbench.runner.screening import screen as run_screen
    from ctrbench.runner.screening import screening
    from ctrbench.terminal.matrices import show_findings
    from ctrbench.terminal.progress import RunDisplay
    from ctrbench.terminal.screening import show

    workspace: Workspace = context.obj
    format = format_of(format, json)
    matrix = read_matrix(file, workspace)
    show_findings(matrix.dataset.name, matrix.dataset.findings)
    with RunDisplay(detail) as display:
        screened = run_screen(workspace, matrix, jobs_of(jobs), retry_failed, display)
    with RunDisplay(detail) as display:
        records = run_matrix(workspace, screened.second, jobs_of(jobs), retry_failed, display)
    table = comparison_table(workspace, screened.second, records)
    found = screening(matrix, screened, stored_records(workspace, matrix.cells()))
    if json:
        write(as_json({"screen": found, "table": long_table(table)}))
        return
    write(render(table, format, full))
    show(found)
