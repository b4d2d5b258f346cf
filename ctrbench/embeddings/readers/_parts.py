"""A folder of tables with equal columns, as Spark, Dask and Hugging Face `datasets` write them."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ctrbench.embeddings.readers._base import Source, VectorBlock, check_file
from ctrbench.embeddings.readers._columns import Layout, arrow_errors
from ctrbench.embeddings.readers._tables import Table
from ctrbench.errors import DataError, shortened

ENDINGS = "parquet", "arrow", "feather"  # of parts
MARKS = ".", "_"  # prefixes of files by other programs, such as `_SUCCESS` of Spark
STATE, SPLITS = "state.json", "dataset_dict.json"  # files of Hugging Face `datasets`


def parts_of(folder: Path) -> list[Path]:
    """Return the tables of a folder and its sub-folders, in order; empty if it has none.

    Raises:
        DataError: The folder contains tables of several formats, several splits of a Hugging Face
            data set, or less than its list of files.
    """
    if (folder / SPLITS).is_file():
        splits = sorted(path.parent.name for path in folder.glob(f"*/{STATE}"))
        raise DataError(
            f"{folder} contains several splits of a data set: {', '.join(splits)}; give the path "
            "of one of them."
        )
    if (folder / STATE).is_file():
        return _listed_parts(folder)
    found = sorted(path for ending in ENDINGS for path in folder.rglob(f"*.{ending}"))
    parts = [path for path in found if not _marked(path.relative_to(folder))]
    endings = Counter(path.suffix for path in parts)
    if len(endings) > 1:
        counts = ", ".join(f"{count:,} {ending}" for ending, count in sorted(endings.items()))
        raise DataError(f"{folder} contains files of several formats: {counts}; keep one of them.")
    return parts


class Parts(Table):
    """Reads one part after another."""

    def __init__(self, parts: list[Path], reader_of: Callable[[Path], Table]) -> None:
        self.parts, self.reader_of = parts, reader_of

    def layout(self, source: Source) -> Layout | None:
        """Return the columns of the first part with rows."""
        layouts = (self._layout(source, part) for part in self.parts)
        return next((layout for layout in layouts if layout is not None), None)

    def rows(self, source: Source, layout: Layout) -> Iterator[VectorBlock]:
        """Yield the rows of all parts; parts without rows are skipped."""
        width = None
        for part in self.parts:
            found = self._layout(source, part)
            if found is None:
                continue
            if (found.key, found.values, found.kind) != (layout.key, layout.values, layout.kind):
                raise DataError(
                    f"{part} has other columns than the first part: ids in {found.key}, vectors in "
                    f"{_brief(found)}; the first part has {layout.key} and {_brief(layout)}. Move "
                    "or convert this part."
                )
            with arrow_errors(part):
                for block in self.reader_of(part).rows(_of(source, part), found):
                    width = width or block.vectors.shape[1]
                    if block.vectors.shape[1] != width:
                        raise DataError(
                            f"{part}: vectors have {block.vectors.shape[1]} numbers, those of the "
                            f"first part {width}; all vectors must have the same width."
                        )
                    yield VectorBlock(block.ids, block.vectors, layout.notes)

    def _layout(self, source: Source, part: Path) -> Layout | None:
        check_file(part)
        with arrow_errors(part):
            return self.reader_of(part).layout(_of(source, part))


def _of(source: Source, part: Path) -> Source:
    return dataclasses.replace(source, vectors=part)


def _brief(layout: Layout) -> str:
    return f"{', '.join(layout.values[:3])}{', ...' * (len(layout.values) > 3)} ({layout.kind})"


def _marked(path: Path) -> bool:
    """Return whether a part or one of its folders belongs to another program."""
    return any(name.startswith(MARKS) for name in path.parts)


def _listed_parts(folder: Path) -> list[Path]:
    """Return the parts that `state.json` of a Hugging Face data set lists."""
    try:
        state = json.loads((folder / STATE).read_text("utf-8"))
        names = [str(one["filename"]) for one in state["_data_files"]]
        home = folder.resolve()
        outside = [name for name in names if not (folder / name).resolve().is_relative_to(home)]
        has_indices = bool(state.get("_indices_data_files"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{folder / STATE} does not list the files of a data set; save the data set again."
        ) from error
    if has_indices:
        raise DataError(
            f"{folder} selects rows by an index; save it again after `dataset.flatten_indices()`."
        )
    if outside:
        raise DataError(
            f"{folder / STATE} lists {shortened(outside[0])}, which is outside the folder. Save "
            "the data set again."
        )
    return [folder / name for name in names]
