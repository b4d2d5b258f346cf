"""`ctrbench export | encode`: a trained cell as a folder for a serving team."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ctrbench
from ctrbench.cli._options import JsonOption
from ctrbench.cli._sources import sources_of
from ctrbench.errors import ConfigError
from ctrbench.terminal import completing
from ctrbench.terminal.output import show


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (export, encode):
        app.command()(command)


def export(
    context: typer.Context,
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL|ARM",
            help="The hash of a cell or its first characters, DATASET/VERSION/MODE, optionally "
            "with /SEED, or with --file VERSION/MODE. Without a seed: the first.",
            show_default=False,
            autocompletion=completing.arms,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to create.", show_default=False)
    ],
    file: Annotated[
        Path | None, typer.Option(help="A benchmark file that selects the settings.")
    ] = None,
    opset: Annotated[int, typer.Option(help="The version of the operators of ONNX.")] = 18,
    json: JsonOption = False,
) -> None:
    """Write a trained cell as a folder: ONNX, weights, tables, features, golden inputs, checks.

    If its weights are not stored (`ctrbench run --keep-models`), the cell is trained again, and its
    predictions must equal the stored ones.
    """
    from ctrbench.terminal import serving as terminal

    found = ctrbench.export(
        cell,
        output,
        matrix=None if file is None else ctrbench.read_matrix(file, context.obj),
        opset=opset,
        workspace=context.obj,
    )
    show(found, json, terminal.show_exported)


def encode(
    folder: Annotated[
        Path, typer.Argument(help="A folder of `ctrbench export`.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The Parquet file to create.", show_default=False),
    ],
    vectors: Annotated[
        Path | None,
        typer.Option(help="The vectors of new items, in any format of `embeddings add`."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=FILE instead of --vectors, for several vector fields."),
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option(help="Item ids of the vectors, if their file has none.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write codes and other image inputs of new items, from the arrays of an exported FOLDER."""
    from ctrbench.terminal import serving as terminal

    if (vectors is None) == (not field):
        raise ConfigError(
            "give either --vectors FILE, or --field NAME=FILE for each vector field of the model."
        )
    options = dict.fromkeys(("--vector-column", "--ids-column", "--key", "--value", "--scale"))
    source = sources_of(vectors, field or (), {"--ids": ids, **options}, False)
    show(ctrbench.encode(folder, source, output), json, terminal.show_encoded)
