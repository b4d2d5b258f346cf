"""Writing the report of a benchmark file, and checking whether it is up to date."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctrbench.analysis.matrices import Records
from ctrbench.atomic import atomic_file
from ctrbench.page.gathering import Page, gather
from ctrbench.page.rendering import render
from ctrbench.plan import Matrix
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class ReportOfRun:
    """The report of a run: its path, and whether it exists."""

    file: Path  # the benchmark file
    path: Path
    current: bool  # whether the report exists and is not older than the newest cell
    problem: str = ""  # the reason why it could not be written


def report_of_run(workspace: Workspace, file: Path, records: Records) -> ReportOfRun:
    """Return whether the report of a benchmark file is up to date; writes nothing.

    Args:
        workspace: The workspace that holds the results.
        file: The benchmark file.
        records: The stored records of its cells.
    """
    path = _path(workspace, file)
    if not path.is_file():
        return ReportOfRun(file, path, current=False)
    return ReportOfRun(file, path, current=path.stat().st_mtime >= _newest(records))


def _newest(records: Records) -> float:
    """Return when the newest cell was finished, in seconds since 1970."""
    finished = [datetime.fromisoformat(one.finished) for one in records.values() if one.finished]
    return max((at.timestamp() for at in finished), default=0.0)


def write_report_of_run(
    workspace: Workspace, file: Path, matrix: Matrix, records: Records, looks: int = 1
) -> ReportOfRun:
    """Write the report of a benchmark file to `results/reports/`.

    Any error becomes the `problem` of the result, because an error in the page must not change the
    exit code of a run whose cells are stored. `ctrbench report` raises the error.

    Args:
        workspace: The workspace that holds the results.
        file: The benchmark file.
        matrix: The checked matrix.
        records: The stored records of its cells, by cell hash.
        looks: Number of planned analyses, see `TablePlan.looks`.
    """
    path = _path(workspace, file)
    try:
        write_page(gather(workspace, matrix, records, looks=looks), path)
        newest = _newest(records)
        if path.stat().st_mtime < newest:  # the clock was set back meanwhile
            os.utime(path, (newest, newest))
    except Exception as error:
        return ReportOfRun(file, path, current=False, problem=str(error) or type(error).__name__)
    return ReportOfRun(file, path, current=True)


def _path(workspace: Workspace, file: Path) -> Path:
    return workspace.results / "reports" / f"{file.stem}.html"


def write_page(page: Page, output: Path) -> int:
    """Write a page and return its size in bytes.

    Args:
        page: The gathered content.
        output: The file; missing folders are created.
    """
    content = render(page).encode()
    with atomic_file(output) as temporary:
        temporary.write_bytes(content)
    return len(content)
