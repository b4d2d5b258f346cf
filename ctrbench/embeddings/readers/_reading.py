"""Read a file of vectors by the reader of its extension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctrbench import plugins
from ctrbench.embeddings.readers._base import (
    INT8_SCALE,
    NO_PICKLE,
    SAVE,
    Block,
    Reader,
    Source,
    check_file,
    is_folder,
)
from ctrbench.embeddings.readers._folder import Folder
from ctrbench.errors import ConfigError, DataError

PACKAGE = "ctrbench.embeddings.readers"
_FAISS = (
    "a faiss index numbers its rows by itself. Take the ids from where they are kept, the vectors "
    f"by `vectors = faiss.read_index(FILE).reconstruct_n()`, and save both: {SAVE}. Of an "
    "IndexIDMap: `ids = faiss.vector_to_array(index.id_map)`, `vectors = "
    "index.index.reconstruct_n()`. A compressed index (PQ, SQ) holds approximations alone: save "
    "the vectors that it was made from."
)
_JSON = (
    "JSON is not read. Convert it: `rows = [json.loads(line) for line in open(FILE)]`, `ids = "
    '[str(row["item_id"]) for row in rows]`, `vectors = numpy.array([row["embedding"] for row in '
    f'rows], "float32")`, {SAVE}.'
)
_HDF5 = (
    'HDF5 is not read. Convert it: `with h5py.File(FILE) as h: numpy.savez("vectors.npz", '
    'key=h["key"][:], value=h["value"][:])`; ids that are text: '
    '`key=h["key"].asstr()[:].astype(str)`.'
)
WAYS_OUT = {  # endings that are not read
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), NO_PICKLE),
    **dict.fromkeys((".faiss", ".index"), _FAISS),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), _JSON),
    **dict.fromkeys((".h5", ".hdf5"), _HDF5),
}


def read(source: Source, scratch: Path) -> Iterator[Block]:
    """All rows of the source, by the reader of its extension; int8 as fractions of 127.

    Raises:
        DataError: a file is missing, empty, damaged, or does not hold vectors with ids.
        ConfigError: no reader has the extension, or the ids file is missing or too much.
    """
    reader = Folder() if is_folder(source.vectors) else _reader(source.vectors)
    if source.column is not None and not reader.has_columns:
        raise ConfigError(
            "--column is for tables (.parquet, .feather, .arrow, .csv, .tsv), not for "
            f"{source.vectors}."
        )
    for path in (source.vectors, source.ids):
        if path is not None and not (path is source.vectors and is_folder(path)):
            check_file(path)
    for block in reader.blocks(source, scratch):
        yield _as_floats(block) if block.vectors.dtype == np.int8 else block


def _reader(path: Path) -> Reader:
    ending = path.suffix.lower()
    if ending in WAYS_OUT:
        raise DataError(f"{path}: {WAYS_OUT[ending]}")
    packed = ending == ".gz"
    name = Path(path.stem).suffix.lower()[1:] if packed else ending[1:]
    known = plugins.names(PACKAGE)
    if name in known:
        reader = plugins.load(PACKAGE, name, Reader, "reader")
        if reader.compressed or not packed:
            return reader()  # pyright: ignore[reportAbstractUsage]
    unpack = " Unpack it first." if packed and name in known else ""
    endings = ", ".join(f".{name}" for name in known)
    raise ConfigError(
        f"{path}: no reader for {f'.{name}.gz' if packed else ending!r} files; known: {endings}, "
        f".csv.gz, .tsv.gz, and folders of .npy files, one for each item.{unpack}"
    )


def _as_floats(block: Block) -> Block:
    told = f"int8 vectors are divided by {INT8_SCALE}"
    vectors = block.vectors.astype(np.float32) / np.float32(INT8_SCALE)
    return Block(block.ids, vectors, (*block.notes, told))
