"""A trained cell for a serving team, and the codes of new items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench.api.inputs import Home, Ids, Location, Memory, Vectors, opened
from ctrbench.api.matrices import Matrix, checked
from ctrbench.embeddings import Source

if TYPE_CHECKING:
    from ctrbench.serving import Encoded, Exported

OPSET = 18  # of ONNX


def export(
    cell: str,
    output: Location,
    *,
    matrix: Matrix | None = None,
    opset: int = OPSET,
    workspace: Home = ".",
) -> Exported:
    """Write a trained cell as a folder: ONNX, weights, tables, features, golden inputs, checks.

    If its weights are not stored, the cell is trained again, and its predictions must equal the
    stored ones.

    Args:
        cell: A hash or its first characters; `DATASET/VERSION/MODE`, optionally with `/SEED`; or
            `VERSION/MODE` of a matrix. Without a seed: the first.
        output: The folder to create.
        matrix: The matrix of the arm, which selects the settings.
        opset: The version of the operators of ONNX.
        workspace: The workspace of stored cells, or its folder.

    Raises:
        ConfigError: The folder exists, a library is missing, or the cell cannot be exported.
        ContractError: The mode or the backbone cannot be exported.
        DataError: The data set or the version has changed since the training.
        StoreError: The folder cannot be written, or a training gives other predictions.
        UnknownNameError: The data set, the version or the arm does not exist.
    """
    from ctrbench.serving import export as exported

    one = None if matrix is None else checked(matrix)
    home = opened(workspace) if one is None else one.workspace
    return exported(home, cell, Path(output), one.checked if one else None, opset)


def encode(
    folder: Location,
    vectors: Vectors | Mapping[str, Vectors],
    output: Location,
    *,
    ids: Ids | None = None,
) -> Encoded:
    """Write codes and other image inputs of new items, from the arrays of an exported folder.

    Args:
        folder: A folder that `export` wrote.
        vectors: A file, an array (n, D), or a table with a column of ids; for several vector
            fields, a dict of them by field.
        output: The Parquet file to create.
        ids: The item id of each row, or their file, if the vectors have none.

    Raises:
        ConfigError: The output exists, the folder is not an exported model, its mode cannot encode
            new items or is not installed, or vectors of a field are missing.
        DataError: A file is damaged, or vectors have another width or invalid numbers.
        StoreError: The file cannot be written.
    """
    from ctrbench.serving import encode as encoded

    options = Source(Path())
    with Memory() as memory:
        source: Any
        if isinstance(vectors, Mapping) and not {"item_id", "key"} & set(vectors):
            source = {
                field: memory.source(given, ids, options, f"vectors[{field!r}]")
                for field, given in vectors.items()
            }
        else:
            source = memory.source(vectors, ids, options, "vectors")
        return encoded(Path(folder), source, Path(output))
