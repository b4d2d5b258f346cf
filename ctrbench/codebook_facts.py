"""Codebooks of one version in several sizes: fitted, described and exported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ctrbench import codebooks, embeddings, impressions
from ctrbench.codebooks import Codebook, CodebookFacts
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError
from ctrbench.schema import OF_VERSION
from ctrbench.workspace import Workspace

ROWS, COLUMNS, PIXELS = 12, 10, 64  # size of the sheet of clusters


@dataclass(frozen=True)
class Request:
    """The codebooks to fit."""

    dataset: str
    version: str  # or one of its vector fields, such as v7:text
    sizes: tuple[int, ...]
    method: str = "kmeans"
    seeds: int = 1  # codebooks per size
    against: str | None = None  # another version, whose codebooks are compared
    center: bool = False  # subtract the mean vector before normalising

    def folder_name(self, size: int) -> str:
        """Return the name of the folder of the exported codebook of one size."""
        return f"{self.version.replace(OF_VERSION, '-')}-{size}"


def sizes_of(text: str) -> tuple[int, ...]:
    """Return the sizes in a text such as `50,200,1000`.

    Raises:
        ConfigError: A size is not a whole number, or is repeated.
    """
    try:
        sizes = tuple(int(part.replace("_", "")) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--size {text!r}: give whole numbers separated by commas.") from error
    if len(set(sizes)) < len(sizes):
        raise ConfigError(f"--size {text!r}: a size is repeated; give each once.")
    return sizes


@dataclass(frozen=True)
class CodeAgreement:
    """Agreement of two codebooks on which items share a code."""

    rand: float  # adjusted Rand index
    mutual: float  # normalised mutual information


@dataclass(frozen=True)
class SizeFacts:
    """The codebooks of one size."""

    facts: CodebookFacts
    against: CodeAgreement | None  # with the codebook of the other version, if one was named


@dataclass(frozen=True)
class Facts:
    """Statistics of the codebooks of one version."""

    request: Request
    sizes: tuple[SizeFacts, ...]


@dataclass(frozen=True)
class FittedCodebooks(Displayed, view="codebooks.show_fitted"):
    """Fitted codebooks with their statistics."""

    facts: Facts
    books: Mapping[int, Codebook]  # by size, of the first seed
    files: tuple[str, ...] = ()  # descriptions of the written files

    def with_files(self, files: Iterable[str]) -> FittedCodebooks:
        """Return the codebooks with the descriptions of their files."""
        return replace(self, files=tuple(files))


def fit(workspace: Workspace, request: Request) -> FittedCodebooks:
    """Fit codebooks on the items of the fitting period, or take them from the cache.

    Args:
        workspace: The workspace that holds the data set and its versions.
        request: The codebooks to fit.

    Raises:
        ConfigError: A size is below 2.
        DataError: There are fewer distinct vectors than centres.
        DamagedError: The data set or a version is damaged.
        UnknownNameError: The data set, the version or the method does not exist.
    """
    impressions.require_intact(workspace, request.dataset)
    log = impressions.open_impressions(workspace, request.dataset)
    table = embeddings.open_version(workspace, request.dataset, request.version)

    def made(version: str, size: int, seed: int) -> Codebook:
        method, center = request.method, request.center
        return codebooks.make_codebook(workspace, log, version, size, method, seed, center)

    first, sizes = {}, []
    for size in request.sizes:
        books = [made(request.version, size, seed) for seed in range(request.seeds)]
        first[size] = books[0]
        against = None
        if request.against is not None:
            other = made(request.against, size, 0)
            against = CodeAgreement(*codebooks.agreement(books[0], other))
        sizes.append(SizeFacts(codebooks.describe(table, books, request.center), against))
    return FittedCodebooks(Facts(request, tuple(sizes)), first)


def export(workspace: Workspace, fitted: FittedCodebooks, output: Path) -> Iterator[str]:
    """Write codes, centres and a sheet of clusters, one folder per size.

    Args:
        workspace: The workspace that holds the data set and its versions.
        fitted: The codebooks to write.
        output: The parent folder of the folders.

    Yields:
        A description of each written file.

    Raises:
        StoreError: A file cannot be written.
    """
    from ctrbench.pretraining.pictures import open_pictures
    from ctrbench.pretraining.sheets import draw_rows

    request = fitted.facts.request
    log = impressions.open_impressions(workspace, request.dataset)
    table = embeddings.open_version(workspace, request.dataset, request.version)
    item_ids = impressions.raw_item_ids(workspace, request.dataset)
    for size, book in fitted.books.items():
        folder = output / request.folder_name(size)
        codebooks.export(book, item_ids, folder)
        yield f"{folder}/codes.parquet and centres.npy"
        if log.manifest.has_images:
            items = codebooks.central_items(book, table, request.center, ROWS, COLUMNS)
            sheet = folder / "clusters.png"
            draw_rows(sheet, items, open_pictures(workspace, log.manifest), PIXELS)
            yield f"{sheet}: one row per cluster, largest first"
