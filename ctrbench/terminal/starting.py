"""The output of `ctrbench` without a command: the workspace, and the next command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ctrbench import embeddings, impressions
from ctrbench.terminal._tables import aligned
from ctrbench.terminal.output import echo
from ctrbench.workspace import Workspace

DATASET_LINE = re.compile(r"^dataset: *([^\s#]+)", re.MULTILINE)
SHOWN = 20  # maximum number of listed data sets
MOST_BYTES = 100_000  # size of a benchmark file that is searched


def show(workspace: Workspace, program: str) -> None:
    """Print the data sets of the workspace and the next command; if it is empty, the first three.

    Args:
        workspace: The workspace.
        program: The start of a command line, such as `ctrbench --home .bench`.
    """
    names = impressions.names(workspace)
    if names:
        versions = {name: embeddings.names(workspace, name) for name in names}
        cells = {name: _stored_cells(workspace, name) for name in names}
        rows = [
            (name, ", ".join(versions[name]) or "none", f"{cells[name]:,}")
            for name in names[:SHOWN]
        ]
        echo(f"{workspace.home}\n")
        echo(aligned([("data set", "embedding versions", "stored cells"), *rows]))
        if len(names) > SHOWN:
            echo(f"and {len(names) - SHOWN} more; `{program} datasets list` lists all.")
        command = _next(workspace, versions, cells)
        echo(f"\nNext: {program} {command}")
    else:
        echo(f"No data sets in {workspace.home} yet. Start with these three commands:\n")
        for command in (
            "datasets import table --name shop --impressions clicks.parquet --items items.parquet",
            _add("shop"),
            "run --dataset shop",
        ):
            echo(f"  {program} {command}")
        echo("")
    echo(f"`{program} --help` lists all commands.")


def _next(workspace: Workspace, versions: dict[str, list[str]], cells: dict[str, int]) -> str:
    name = next((name for name, known in versions.items() if known), None)
    if name is None:
        return _add(next(iter(versions)))
    files = {data: file for data, file in _benchmark_files(workspace.home).items() if data in cells}
    for dataset, file in files.items():
        if not cells[dataset]:
            return f"run {file}"
    for file in files.values():
        return f"report {file} --output report.html"
    return f"init {name}"


def _add(dataset: str) -> str:
    return f"embeddings add v1 --dataset {dataset} --vectors v1.npy --ids v1_ids.txt"


def _stored_cells(workspace: Workspace, dataset: str) -> int:
    return sum(1 for _ in (workspace.results / dataset).glob("*/*/*.json"))


def _benchmark_files(folder: Path) -> dict[str, str]:
    """Return the first benchmark file of every data set, quoted for the shell."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.y*ml")):
        if file.is_file() and file.stat().st_size <= MOST_BYTES:
            line = DATASET_LINE.search(file.read_text(encoding="utf-8", errors="replace"))
            if line is not None:
                found.setdefault(line[1].strip("'\""), shlex.quote(file.name))
    return found
