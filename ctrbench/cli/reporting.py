"""`ctrbench report | plot FILE`: one page for the decision, and single figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import BenchmarkArgument
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo


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
    page = ctrbench.report(ctrbench.read_matrix(file, context.obj), output, pictures=pictures)
    for line in page.shown.answer.lines:
        echo(line.text)
    for line in page.shown.missing:
        echo(line, err=True)
    echo(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


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
    from ctrbench.figures import check_drawable, figure

    figure(kind)  # raises an error for an unknown kind, before any work
    check_drawable(output)
    ctrbench.plot(ctrbench.read_matrix(file, context.obj), kind).save(output)
    echo(f"wrote {output}")
