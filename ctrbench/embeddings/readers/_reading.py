"""Reads a file of vectors by the reader of its extension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctrbench import plugins
from ctrbench.embeddings.readers import _folder
from ctrbench.embeddings.readers._base import (
    INT8_SCALE,
    NO_PICKLE,
    Reader,
    Source,
    VectorBlock,
    check_file,
    is_folder,
)
from ctrbench.embeddings.readers._codes import read_codes
from ctrbench.embeddings.readers._folder import Folder
from ctrbench.embeddings.readers._parts import Parts, parts_of
from ctrbench.embeddings.readers._tables import Table
from ctrbench.errors import ConfigError, DataError

PACKAGE = "ctrbench.embeddings.readers"
_JSON = (
    'a JSON file is read as a whole. Write one object per line: `open("vectors.jsonl", "w")'
    '.writelines(json.dumps(row) + "\\n" for row in json.load(open(FILE)))`.'
)
WAYS_OUT = {  # extensions that are not supported
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), NO_PICKLE),
    ".json": _JSON,
}
SAME = {"index": "faiss", "hdf5": "h5", "ndjson": "jsonl", "pth": "pt"}  # extensions of one format


def read(source: Source, scratch: Path) -> Iterator[VectorBlock]:
    """Yield all rows of the source.

    Codes are one block. int8 vectors are multiplied by `scale`, or divided by 127.

    Args:
        source: The files.
        scratch: An empty folder for unpacked files.

    Raises:
        DataError: A file is missing, empty or damaged, or does not contain vectors with ids.
        ConfigError: No reader supports the extension, the ids file is missing or not allowed, or a
            scale is given although the vectors are not int8.
    """
    if source.codes:
        yield read_codes(source)
        return
    _check_scale(source.scale)
    reader = (_of_folder if is_folder(source.vectors) else _reader)(source.vectors)
    _check_names(reader, source)
    for path in (source.vectors, source.ids):
        if path is not None and not (path is source.vectors and is_folder(path)):
            check_file(path)
    for block in reader.blocks(source, scratch):
        if block.vectors.dtype == np.int8:
            yield _as_floats(block, source.scale)
        elif source.scale is not None:
            raise ConfigError(
                f"--scale requires int8 vectors; those of {source.vectors} are "
                f"{block.vectors.dtype}. Remove --scale."
            )
        else:
            yield block


def named_up_to_dot(source: Source) -> bool:
    """Return whether the ids of a source are file names that may end at the first dot of an id.

    Args:
        source: The files.

    Raises:
        DataError: A folder contains no vectors.
    """
    path = source.vectors
    if source.codes or not is_folder(path):
        return False
    return isinstance(_of_folder(path), Folder) and _folder.named_up_to_dot(path)


def _check_scale(scale: float | None) -> None:
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise ConfigError(f"--scale {scale} is not valid: give a positive number, such as 0.01.")


def _check_names(reader: Reader, source: Source) -> None:
    """Check that the file has parts of the kind that the options name.

    Raises:
        ConfigError: An option names a column, but the file is not a table, or an array, but the
            file is not an archive of arrays.
    """
    column = source.column is not None and "--vector-column"
    column = column or (source.ids_column is not None and source.ids is None and "--ids-column")
    if column and not reader.has_columns:
        raise ConfigError(
            f"{column} requires a table, such as .parquet or .csv, not {source.vectors}."
        )
    array = (source.key is not None and "--key") or (source.value is not None and "--value")
    if array and not reader.has_arrays:
        raise ConfigError(
            f"{array} requires a file of named arrays, such as .npz or .h5, not {source.vectors}."
            + (" Name columns by --ids-column and --vector-column." if reader.has_columns else "")
        )


def _of_folder(path: Path) -> Reader:
    """Return the reader of a folder: of tables, or of one file per item.

    Raises:
        DataError: The folder contains both.
    """
    parts = parts_of(path)
    if not parts:
        return Folder()
    if any(path.glob("[!._]*.npy")):
        raise DataError(
            f"{path} contains tables, such as {parts[0].name}, and .npy files; give the path of "
            "the tables or of the other files alone."
        )
    return Parts(parts, _table)


def _table(path: Path) -> Table:
    reader = _reader(path)
    assert isinstance(reader, Table)
    return reader


def _reader(path: Path) -> Reader:
    ending = path.suffix.lower()
    if ending in WAYS_OUT:
        raise DataError(f"{path}: {WAYS_OUT[ending]}")
    packed = ending == ".gz"
    name = Path(path.stem).suffix.lower()[1:] if packed else ending[1:]
    known = plugins.names(PACKAGE)
    name = name if name in known else SAME.get(name, name)
    if name in known:
        reader = plugins.load(PACKAGE, name, Reader, "reader")
        if reader.compressed or not packed:
            return reader()  # pyright: ignore[reportAbstractUsage]
    unpack = " Unpack the file first." if packed and name in known else ""
    endings = ", ".join(f".{name}" for name in known)
    raise ConfigError(
        f"{path}: no reader for {f'.{name}.gz' if packed else ending!r} files; known: {endings}, "
        f".csv.gz, .tsv.gz, folders of tables, and folders with one .npy file per item.{unpack}"
    )


def _as_floats(block: VectorBlock, scale: float | None) -> VectorBlock:
    if scale is None:
        note = f"int8 vectors are divided by {INT8_SCALE}"
        vectors = block.vectors.astype(np.float32) / np.float32(INT8_SCALE)
    else:
        note = f"int8 vectors are multiplied by {scale:g}"
        vectors = block.vectors.astype(np.float32) * np.float32(scale)
    return VectorBlock(block.ids, vectors, (*block.notes, note))
