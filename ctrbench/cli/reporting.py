"""`ctrbench report | plot FILE`: one page for the decision, and single figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.cli._options import BenchmarkArgument
from ctrbench.errors import ConfigError, DataError
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo
from ctrbench.workspace import Workspace

PAGES = (".html", ".htm")


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(report)
    app.command()(plot)


def report(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    pictures: Annotated[
        bool,
        typer.Option(help="Show neighbours, clusters and users with the pictures of their items."),
    ] = True,
) -> None:
    """Write one self-contained HTML page from the stored cells of FILE; trains nothing."""
    from ctrbench.atomic import check_writable
    from ctrbench.matrix import read_matrix
    from ctrbench.page import gather, write_page
    from ctrbench.runner import completed

    if output.suffix not in PAGES:
        raise ConfigError(f"{output}: give the page a name that ends in {' or '.join(PAGES)}.")
    check_writable(output)
    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    records = completed(workspace, matrix)
    page = gather(workspace, matrix, records, pictures)
    size = write_page(page, output)
    for line in page.shown.answer.lines:
        echo(line.text)
    for line in page.shown.missing:
        echo(line, err=True)
    echo(f"wrote {output} ({size / 1e6:.1f} MB)")


def plot(
    context: typer.Context,
    file: BenchmarkArgument,
    kind: Annotated[
        str, typer.Option(help="Such as forest, heatmap.", autocompletion=completing.figures)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A name that ends in .png, .svg or .pdf.")
    ],
) -> None:
    """Write one figure of the report from the stored cells of FILE; trains nothing."""
    from ctrbench.analysis.qualities import qualities
    from ctrbench.analysis.shown import shown
    from ctrbench.figures import check_drawable, figure, save
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import completed

    chosen = figure(kind)
    check_drawable(output)
    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    records = completed(workspace, matrix)
    known = qualities(workspace, matrix) if kind == "quality" else None
    content = shown(workspace, matrix, records, known)
    if lacks := chosen.lacks(content):
        raise DataError(f"{kind} has nothing to draw: {lacks}")
    save(lambda: chosen.draw(content), output)
    echo(f"wrote {output}")
