"""`ctrbench screen FILE`: all versions with one mode, then the best with all modes."""

from __future__ import annotations

import typer

import ctrbench
from ctrbench.cli._options import (
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
)
from ctrbench.json_text import as_json
from ctrbench.terminal.output import write


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(screen)


def screen(
    context: typer.Context,
    file: BenchmarkArgument,
    jobs: JobsOption = "auto",
    retry_failed: RetryOption = False,
    executor: ExecutorOption = "processes",
    address: AddressOption = None,
    gpu_share: GpuShareOption = None,
    max_time: MaxTimeOption = None,
    max_memory: MaxMemoryOption = None,
    format: FormatOption = "text",
    full: FullOption = False,
    json: JsonOption = False,
    detail: DetailOption = None,
) -> None:
    """Train every version of FILE with one mode and few seeds, then the best with all modes.

    `screen:` in FILE sets mode, seeds and keep; the versions are chosen on `valid`. For each mode
    that is stored with every version, the rank correlation with the screen is shown.
    """
    from ctrbench.reports import long_table, render
    from ctrbench.terminal.screening import show

    format = format_of(format, json)
    place = executor_of(executor, jobs, address, gpu_share, max_time, max_memory)
    matrix = ctrbench.read_matrix(file, context.obj)
    found = ctrbench.screen(matrix, place, retry_failed=retry_failed, progress=detail)
    if json:
        write(as_json({"screen": found.screening, "table": long_table(found.table)}))
        return
    write(render(found.table, format, full))
    show(found.screening)
