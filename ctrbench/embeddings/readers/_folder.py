"""A folder of `.npy` files, one for each item and named by its id: `<item_id>.npy`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ctrbench.arrays import table_blocks
from ctrbench.embeddings.readers._base import (
    Block,
    Reader,
    Source,
    check_file,
    check_numbers,
    check_width,
    refuse_ids,
)
from ctrbench.embeddings.readers._ids import written
from ctrbench.embeddings.readers._npy import open_npy
from ctrbench.errors import DataError, raise_all

MOST_PROBLEMS = 10  # that are listed
MARKS = ".", "_"  # begin names that other programs leave, such as macOS' `._7.npy`


class Folder(Reader):
    """Files in the order of their names; each holds one vector, of shape (D,) or (1, D)."""

    def blocks(self, source: Source, scratch: Path) -> Iterator[Block]:
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
                yield Block(of, np.stack(vectors), notes)
        more = len(problems) - MOST_PROBLEMS
        listed = problems[:MOST_PROBLEMS] + ([f"and {more:,} more files"] if more > 0 else [])
        raise_all(listed, DataError, f"{path}: mend or move these files away:")


def _files(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The files of vectors, and what to tell of those that other programs left there."""
    found = sorted(file for file in path.iterdir() if file.suffix == ".npy")
    left = [file.name for file in found if file.name.startswith(MARKS)]
    told = (
        f"files not used, since their names begin with . or _: {len(left):,}, such as {left[0]}"
        if left
        else ""
    )
    if len(left) == len(found):
        raise DataError(
            f"{path} is a folder where a file is expected, and holds no <item_id>.npy, one for "
            f"each item; name the file of vectors in it.{f' There are {told}.' if left else ''}"
        )
    files = [file for file in found if not file.name.startswith(MARKS)]
    return files, (told,) if told else ()


def _usual_width(files: list[Path]) -> int:
    """The width of the first file that holds a vector."""
    for file in files:
        vector = _vector(file, None, [])
        if vector is not None:
            return len(vector)
    raise DataError(f"{files[0].parent}: none of its {len(files):,} .npy files holds a vector.")


def _vector(file: Path, width: int | None, problems: list[str]) -> np.ndarray | None:
    """The file's vector; None: it has none of that width, which is now among the problems."""
    try:
        check_file(file)
        array = open_npy(file)
        check_numbers(array.dtype, file)
        vector = np.array(array[0] if array.ndim == 2 and len(array) == 1 else array)
        if vector.ndim != 1 or not len(vector):
            raise DataError(f"{file}: shape {array.shape}; expected (width,) or (1, width).")
        check_width(len(vector), file)
        if width not in (None, len(vector)):
            raise DataError(f"{file}: {len(vector)} numbers, the first file has {width}.")
    except DataError as error:
        problems.append(str(error))
        return None
    return vector
