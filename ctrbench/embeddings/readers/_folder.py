"""A folder with one `.npy` file per item: `<item_id>.npy`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctrbench.arrays import table_blocks
from ctrbench.embeddings.readers._base import (
    Reader,
    Source,
    VectorBlock,
    check_file,
    check_numbers,
    check_width,
    refuse_ids,
)
from ctrbench.embeddings.readers._ids import written
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.errors import DataError, raise_all
from ctrbench.printable import counted

MOST_PROBLEMS = 10  # in a message
MARKS = ".", "_"  # prefixes of files by other programs, such as `._7.npy` of macOS


class Folder(Reader):
    """Reads files in the order of their names; each contains one vector, (D,) or (1, D)."""

    def blocks(self, source: Source, scratch: Path) -> Iterator[VectorBlock]:
        """See `Reader`."""
        refuse_ids(source)
        path, problems = source.vectors, list[str]()
        files, notes = _files(path)
        ids = written([file.name.removesuffix(".npy") for file in files], path)
        width = _usual_width(files)
        for rows in table_blocks((len(files), width)):
            given = [_vector(file, width, problems) for file in files[rows]]
            vectors = [vector for vector in given if vector is not None]
            if vectors:
                of = [raw for raw, one in zip(ids[rows], given, strict=True) if one is not None]
                yield VectorBlock(of, np.stack(vectors), notes)
        more = len(problems) - MOST_PROBLEMS
        listed = problems[:MOST_PROBLEMS] + (
            [f"and {counted(more, 'more file')}"] if more > 0 else []
        )
        raise_all(listed, DataError, f"{path}: repair or move these files:")


def named_up_to_dot(path: Path) -> bool:
    """Return whether the names of a folder's files may be ids that end at the first dot.

    Ducho writes the vector of `12.5.jpg` to `12.npy`. If a name contains a dot, as in `12.5.npy`,
    the names are whole ids.

    Args:
        path: A folder with one `.npy` file per item.
    """
    return not any("." in file.stem for file in _files(path)[0])


def _files(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files of vectors, and notes about ignored files."""
    found = sorted(file for file in path.iterdir() if file.suffix == ".npy")
    left = [file.name for file in found if file.name.startswith(MARKS)]
    note = (
        f"files not used, since their names begin with . or _: {len(left):,}, such as {left[0]}"
        if left
        else ""
    )
    if len(left) == len(found):
        raise DataError(
            f"{path} is a folder without files <item_id>.npy; give the path of a file of vectors."
            f"{f' There are {note}.' if left else ''}"
        )
    files = [file for file in found if not file.name.startswith(MARKS)]
    return files, (note,) if note else ()


def _usual_width(files: list[Path]) -> int:
    """Return the width of the first file that contains a vector."""
    for file in files:
        vector = _vector(file, None, [])
        if vector is not None:
            return len(vector)
    raise DataError(f"{files[0].parent}: none of the {len(files):,} .npy files contains a vector.")


def _vector(file: Path, width: int | None, problems: list[str]) -> np.ndarray | None:
    """Return the vector of a file; if it is invalid, add a problem and return None."""
    try:
        check_file(file)
        array = open_npy(file)
        check_numbers(array.dtype, file)
        vector = np.array(array[0] if array.ndim == 2 and len(array) == 1 else array)
        if vector.ndim != 1 or not len(vector):
            raise DataError(f"{file}: shape {array.shape}; expected (width,) or (1, width).")
        check_width(len(vector), file)
        if width not in (None, len(vector)):
            raise DataError(f"{file}: {len(vector)} numbers, but the first file has {width}.")
    except DataError as error:
        problems.append(str(error))
        return None
    return vector
