"""`ctrbench codebook`: fit the codebooks of a version, describe and export them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench import embeddings, impressions
from ctrbench.atomic import check_writable
from ctrbench.errors import ConfigError
from ctrbench.schema import EmbeddingTable, Impressions
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.codebooks import Codebook, CodebookFacts

ROWS, COLUMNS, PIXELS = 12, 10, 64  # of the sheet of clusters


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(codebook)


def codebook(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Of these vectors.", show_default=False)],
    dataset: Annotated[str, typer.Option(help="An imported data set.", show_default=False)],
    size: Annotated[str, typer.Option(help="Number of centres, or several: 50,200,1000.")] = "200",
    method: Annotated[
        str, typer.Option(help="kmeans, spherical, hierarchical (large sizes) or single_pass.")
    ] = "kmeans",
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Fit as often; how far do they agree?")
    ] = 1,
    against: Annotated[
        str | None, typer.Option(help="Another version: do its clusters hold the same items?")
    ] = None,
    center: Annotated[
        bool, typer.Option("--center", help="Subtract the mean vector before normalising.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for codes.parquet, centres.npy and a sheet, one per size."),
    ] = None,
) -> None:
    """Fit codebooks on the pretrain period's items and say what they do to the version.

    Of the seed's two claims about distances: the rank correlation of pairs' distances before and
    after is the global one, the ten nearest that share the code the local one.
    """
    from ctrbench import codebooks

    workspace: Workspace = context.obj
    sizes = _sizes(size)
    log = impressions.open_impressions(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version)
    if output is not None:
        check_writable(output / f"{version}-{sizes[0]}" / "codes.parquet")
    made, told = {}, []
    for one in sizes:
        books = [
            codebooks.make_codebook(workspace, log, version, one, method, seed, center)
            for seed in range(seeds)
        ]
        made[one] = books[0]
        other = None
        if against is not None:
            other = codebooks.make_codebook(workspace, log, against, one, method, 0, center)
            other = codebooks.agreement(books[0], other)
        told.append(_column(codebooks.describe(table, books, center), against, other))
    _print(f"{method} codebooks of {version} of {dataset}", told)
    if output is not None:
        _export(workspace, log, table, version, made, center, output)


def _column(
    facts: CodebookFacts, against: str | None, other: tuple[float, float] | None
) -> dict[str, str]:
    """What is said of one size."""
    found = {
        "centres": f"{facts.size:,}",
        "in use": f"{facts.used:.1%}",
        "entropy": f"{facts.entropy_bits:.2f} bits",
        "items of the largest": f"{facts.largest:.2%}",
        "items that share their code": f"{facts.collisions:.1%}",
        "inertia, mean squared distance": f"{facts.inertia:.3f}",
        "distances kept (rank correlation)": f"{facts.distances:.3f}",
        "ten nearest that share the code": f"{facts.neighbours:.1%}",
        "  items at random": f"{facts.by_chance:.1%}",
    }
    if facts.rand is not None:
        found["over seeds: adjusted Rand"] = f"{facts.rand:.3f}"
        found["over seeds: mutual information"] = f"{facts.mutual:.3f}"
    if other is not None:
        found[f"with {against}: adjusted Rand"] = f"{other[0]:.3f}"
        found[f"with {against}: mutual information"] = f"{other[1]:.3f}"
    return found


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--size {text!r}: whole numbers with commas between them.") from error
    if len(set(sizes)) < len(sizes):
        raise ConfigError(f"--size {text!r}: a size stands there twice; name each once.")
    return sizes


def _print(title: str, told: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    first, *others = told[0]
    table = Table(title=title)
    table.add_column(first)
    for column in told:
        table.add_column(column[first], justify="right")
    for name in others:
        table.add_row(name, *(column[name] for column in told))
    Console().print(table)


def _export(
    workspace: Workspace,
    log: Impressions,
    table: EmbeddingTable,
    version: str,
    made: dict[int, Codebook],
    center: bool,
    output: Path,
) -> None:
    from ctrbench import codebooks
    from ctrbench.pretraining.pictures import open_pictures
    from ctrbench.pretraining.sheets import draw_rows

    name = log.manifest.name
    item_ids = impressions.raw_item_ids(workspace, name)
    for size, book in made.items():
        folder = output / f"{version}-{size}"
        codebooks.export(book, item_ids, folder)
        typer.echo(f"wrote {folder}/codes.parquet and centres.npy")
        if log.manifest.has_images:
            items = codebooks.central_items(book, table, center, ROWS, COLUMNS)
            sheet = folder / "clusters.png"
            draw_rows(sheet, items, open_pictures(workspace, log.manifest), PIXELS)
            typer.echo(f"wrote {sheet}: a row per cluster, the largest first")
