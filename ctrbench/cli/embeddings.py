"""`ctrbench embeddings`: add, describe, check, derive and remove embedding versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench import embeddings
from ctrbench.api import embeddings as api
from ctrbench.cli._options import (
    FAILED,
    DatasetOption,
    JsonOption,
    ReferenceArgument,
    VersionArgument,
    YesOption,
)
from ctrbench.cli._sources import sources_of
from ctrbench.errors import ConfigError
from ctrbench.terminal import completing
from ctrbench.terminal import guards as terminal_guards
from ctrbench.terminal import versions as terminal
from ctrbench.terminal.output import echo, show
from ctrbench.workspace import Workspace
from ctrbench.yaml_file import read_settings

app = typer.Typer(
    help="Versions of an image embedding: vectors joined to a data set's items by id.",
    no_args_is_help=True,
)


@app.command()
def add(
    context: typer.Context,
    version: VersionArgument,
    dataset: DatasetOption,
    vectors: Annotated[
        Path | None,
        typer.Option(
            help=".npy, .npz, .safetensors, .h5, .pt, .faiss, .parquet, .feather, .arrow, .csv, "
            ".tsv, .jsonl (text also .gz), a folder of tables, or one of <item_id>.npy.",
            show_default=False,
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="FIELD=FILE instead of --vectors, such as text=text.npy; repeatable. The options "
            "below apply to all fields, or to one as FIELD=VALUE; repeatable.",
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FIELD=]FILE",
            help="Codes of items instead of vectors: .parquet, or a folder of it, with one or more "
            "integer columns or a column of lists. FIELD=FILE makes them a field; repeatable.",
            show_default=False,
        ),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(
            help="Item ids of the vectors, if their file has none: .npy, .txt, .csv, .json."
        ),
    ] = None,
    ids_column: Annotated[
        list[str] | None,
        typer.Option(help="The column of ids of a table, if it is neither item_id nor key."),
    ] = None,
    vector_column: Annotated[
        list[str] | None,
        typer.Option(
            "--vector-column",
            "--column",
            help="The column of vectors, if a table has several columns of lists.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The array of ids (.npz, .safetensors, .h5, .pt), if not key."),
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="The array of vectors of such a file, if not value.")
    ] = None,
    scale: Annotated[
        list[str] | None, typer.Option(help="The factor of int8 vectors; 1/127 by default.")
    ] = None,
    numeric_ids: Annotated[
        bool,
        typer.Option("--numeric-ids", help="Match ids that are equal as numbers: 007 and 7."),
    ] = False,
    append_to: Annotated[
        str | None, typer.Option(help="Copy this version's vectors and add those of the file.")
    ] = None,
    allow_low_coverage: Annotated[
        bool,
        typer.Option(
            "--allow-low-coverage",
            help="Accept a version that covers less than half of the test impressions.",
        ),
    ] = False,
) -> None:
    """Add a version: vectors or codes from files, joined to the data set's items by their ids.

    Vector fields that an existing version does not have are added to it.
    """
    options = {
        "--ids": ids,
        "--vector-column": vector_column,
        "--ids-column": ids_column,
        "--key": key,
        "--value": value,
        "--scale": scale,
    }
    source = sources_of(vectors, field or (), options, numeric_ids, codes or ())
    home = context.obj
    terminal.show_version(
        api.add_source(home, dataset, version, source, append_to, allow_low_coverage)
    )


@app.command()
def derive(
    context: typer.Context,
    method: Annotated[
        str, typer.Argument(help="The method, such as center or pca.", show_default=False)
    ],
    version: ReferenceArgument,
    name: Annotated[str, typer.Option("--as", help="The new version.", show_default=False)],
    dataset: DatasetOption,
    width: Annotated[
        int | None, typer.Option(help="Vector width; short for --set width=N.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="SETTING=VALUE of the method; repeatable.")
    ] = None,
) -> None:
    """Derive a version from another, fitted on the items of the pretrain period."""
    settings = read_settings(changes or (), {} if width is None else {"width": width})
    home = context.obj
    found = api.derive(method, version, name, dataset=dataset, settings=settings, workspace=home)
    terminal.show_made(found)


@app.command("list")
def list_versions(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only versions of this data set.")] = None,
    json: JsonOption = False,
) -> None:
    """List the versions of one or all data sets."""
    show(api.list(dataset, workspace=context.obj), json, terminal.show_list)


@app.command("show")
def describe(
    context: typer.Context,
    version: ReferenceArgument,
    dataset: DatasetOption,
    json: JsonOption = False,
) -> None:
    """Describe a version: statistics of its vectors, and how much of the log they cover."""
    show(api.describe(version, dataset=dataset, workspace=context.obj), json, terminal.show)


@app.command()
def quality(
    context: typer.Context,
    dataset: DatasetOption,
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Default: all versions of the data set.", autocompletion=completing.references
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare the intrinsic quality of versions, without a CTR model."""
    found = api.quality(dataset, versions or (), workspace=context.obj)
    show(found, json, terminal.show_quality)


@app.command()
def sheet(
    context: typer.Context,
    version: ReferenceArgument,
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="The image file to write.", show_default=False)],
    rows: Annotated[int, typer.Option(min=1, help="Number of random items.")] = api.ROWS,
    neighbours: Annotated[
        int, typer.Option(min=1, help="Number of neighbours per item.")
    ] = api.NEIGHBOURS,
    size: Annotated[int, typer.Option(min=16, help="Width of a picture in pixels.")] = api.SIZE,
) -> None:
    """Draw random items and their nearest neighbours in the version."""
    options = {"rows": rows, "neighbours": neighbours, "size": size}
    drawn = api.sheet(version, output, dataset=dataset, **options, workspace=context.obj)
    echo(f"wrote {output}: {drawn} items of {version}, each followed by its neighbours")


@app.command()
def check(
    context: typer.Context,
    version: ReferenceArgument,
    dataset: DatasetOption,
    json: JsonOption = False,
) -> None:
    """Print each guard and its outcome; exit code 1 if one is an error."""
    found = api.check(version, dataset=dataset, workspace=context.obj)
    show(found, json, terminal_guards.show)
    if any(guard.outcome == "error" for guard in found):
        raise typer.Exit(FAILED)


@app.command()
def remove(
    context: typer.Context,
    version: VersionArgument,
    dataset: DatasetOption,
    yes: YesOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Remove it even if stored records use it.")
    ] = False,
) -> None:
    """Remove a version; stored records stay."""
    workspace: Workspace = context.obj
    embeddings.read_manifest(workspace, dataset, version)
    if not yes:
        raise ConfigError(
            f"removing embedding version {version!r} of {dataset!r} cannot be undone; "
            "add --yes to confirm."
        )
    folder = workspace.embeddings / dataset / version
    link = f"; it was a link, {folder.resolve()} stays" if folder.is_symlink() else ""
    api.remove(version, dataset=dataset, force=force, workspace=workspace)
    echo(f"removed embedding version {version} of {dataset}{link}")
