"""`ctrbench report | plot FILE`: one page to decide from, and its figures alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.cli.matrix import BenchmarkArgument, effect_of
from ctrbench.errors import ConfigError, DataError
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.plan import Matrix
    from ctrbench.schema import CellRecord

PAGES = (".html", ".htm")


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(report)
    app.command()(plot)


def report(
    context: typer.Context,
    file: BenchmarkArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    pictures: Annotated[
        bool, typer.Option(help="Show neighbours, clusters and users with their items' pictures.")
    ] = True,
) -> None:
    """Write one self-contained HTML page from what is stored of FILE; trains nothing."""
    from ctrbench.atomic import atomic_file, check_writable
    from ctrbench.page import gather, render

    if output.suffix not in PAGES:
        raise ConfigError(f"{output}: give the page a name that ends in {' or '.join(PAGES)}.")
    check_writable(output)
    workspace: Workspace = context.obj
    matrix, records = _stored(workspace, file)
    effect = effect_of(None, matrix.file.effect)
    page = gather(workspace, matrix, records, effect, pictures)
    text = render(page)
    with atomic_file(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for line in page.shown.answer.lines:
        typer.echo(line.text)
    for told in page.shown.missing:
        typer.echo(told, err=True)
    typer.echo(f"wrote {output} ({len(text.encode()) / 1e6:.1f} MB)")


def plot(
    context: typer.Context,
    file: BenchmarkArgument,
    kind: Annotated[str, typer.Option(help="A name from `ctrbench list`: forest, heatmap ...")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A name that ends in .png, .svg or .pdf.")
    ],
) -> None:
    """Write one figure of the report of FILE from what is stored; trains nothing."""
    from ctrbench.analysis.qualities import qualities
    from ctrbench.analysis.shown import shown
    from ctrbench.figures import check_drawable, figure, save

    chosen = figure(kind)
    check_drawable(output)
    workspace: Workspace = context.obj
    matrix, records = _stored(workspace, file)
    effect = effect_of(None, matrix.file.effect)
    known = qualities(workspace, matrix) if kind == "quality" else None
    content = shown(workspace, matrix, records, effect, known)
    if lacks := chosen.lacks(content):
        raise DataError(f"{kind} has nothing to draw: {lacks}")
    save(chosen, content, output)
    typer.echo(f"wrote {output}")


def _stored(workspace: Workspace, file: Path) -> tuple[Matrix, dict[str, CellRecord]]:
    """The matrix of a file, and what is stored of it."""
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import complete, stored_records

    matrix = read_matrix(file, workspace)
    return matrix, complete(workspace, matrix, stored_records(workspace, matrix.cells()))
