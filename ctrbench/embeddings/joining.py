"""Join a file of vectors to the items of a data set, by item id."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.arrays import release, table_blocks
from ctrbench.embeddings import readers
from ctrbench.embeddings._nearest import pairs
from ctrbench.embeddings.directions import SHORTEST, has_direction
from ctrbench.embeddings.statistics import LOW_COVERAGE, Shares, shares
from ctrbench.embeddings.versions import (
    FIELDS,
    field_folder,
    folder,
    names,
    new_table,
    open_table,
    open_version,
    publish,
    read_manifest,
    seal,
)
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.schema import IMAGE, EmbeddingTable, Impressions, VersionManifest
from ctrbench.workspace import Workspace, check_name

OPTIONS = "column", "ids_column", "key", "value", "scale", "numeric_ids"  # kept as provenance
NUMERIC = re.compile(r"(-?)0*([0-9]+)(\.0*)?")
SHOWN = 5  # ids in a message


def add_version(
    workspace: Workspace,
    log: Impressions,
    raw_ids: Sequence[str],
    version: str,
    source: readers.Source | Mapping[str, readers.Source],
    append_to: str | None = None,
    allow_low_coverage: bool = False,
    notes: Sequence[str] = (),
) -> tuple[VersionManifest, bool]:
    """Create an embedding version from files, optionally on top of an existing version.

    Vector fields that an existing version does not have are added to it.

    Args:
        workspace: The workspace.
        log: The impressions of the data set.
        raw_ids: The raw ids of items 1..V-1, in order.
        version: The name of the new version.
        source: The file of vectors, and the file of ids if the former has none; for several vector
            fields, those of each field by its name. Without a name, the vectors are those of the
            first field of an existing version, else those of field `image`.
        append_to: A version whose vectors are copied first.
        allow_low_coverage: Whether to accept vectors for less than half of the test impressions.
        notes: About the vectors, for the manifest.

    Returns:
        The manifest, and whether anything was added; False if all of it already existed.

    Raises:
        ConfigError: A name is invalid or has other content, no reader supports the extension, an
            ids file is missing or not allowed, `append_to` has a field without a source, or codes
            are appended to vectors or the reverse.
        DataError: The file is damaged, its vectors are invalid, none of its ids is an item, or too
            few test impressions have a vector.
        UnknownNameError: The version to append to does not exist.
        StoreError: The workspace cannot be written.
    """
    version = check_name("embedding version", version)
    dataset, exists = log.manifest, version in names(workspace, log.manifest.name)
    stored = read_manifest(workspace, dataset.name, version) if exists else None
    older = None
    if append_to is not None:
        append_to = check_name("embedding version", append_to)
        older = read_manifest(workspace, dataset.name, append_to)
    known = older or stored
    sources = (
        dict(source)
        if isinstance(source, Mapping)
        else {known.field if known is not None else IMAGE: source}
    )
    places = {name: field_folder(workspace, dataset, version, name) for name in sources}
    if older is not None:
        _require_sources(older, sources)

    def build(name: str, path: Path) -> VersionManifest:
        source, old = sources[name], None
        provenance = _provenance(source)
        if older is not None and name in older.field_names:
            reference = older.reference(name)
            _require_kind(older.of(name), reference, source)
            old = open_version(workspace, dataset.name, reference, dataset.items_hash, codes=True)
            kept = older.of(name).content_hash
            provenance |= {"appended_to": reference, "appended_to_hash": kept}
        join = _Join(path, raw_ids, old, source.numeric_ids)
        if readers.named_up_to_dot(source):
            join.of_name = _by_name(raw_ids)
        with tempfile.TemporaryDirectory(dir=path) as scratch:
            for block in readers.read(source, Path(scratch)):
                join.place(block)
        raise_all(join.problems(dataset.name, append_to), DataError, f"{source.vectors}:")
        found = {
            "rows": join.rows,
            "merged_duplicates": join.merged,
            "notes": [*notes, *join.notes],
        }
        unmatched = join.unmatched.count, join.unmatched.examples
        made = provenance | found
        manifest = seal(path, version, dataset, join.has_vector, made, unmatched, name)
        if not allow_low_coverage:
            _refuse_low_coverage(shares(open_table(path).has_vector, log), join, source.vectors)
        return manifest

    def build_all(path: Path) -> VersionManifest:
        first, *others = sources
        for name in others:
            own = path / FIELDS / name
            own.mkdir(parents=True)
            build(name, own)
        return build(first, path)

    if stored is None:
        new = publish(workspace, folder(workspace, dataset.name, version), build_all)[1]
    else:
        added = [
            publish(workspace, place, partial(build, name))[1] for name, place in places.items()
        ]
        new = any(added)
    return read_manifest(workspace, dataset.name, version), new


def _require_kind(older: VersionManifest, reference: str, source: readers.Source) -> None:
    """Raise an error if codes are appended to vectors, or vectors to codes.

    Raises:
        ConfigError: The kinds differ.
    """
    given = "codes" if source.codes else "vectors"
    if older.kind != given:
        raise ConfigError(
            f"embedding version {reference!r} holds {older.kind}, and {source.vectors} is given as "
            f"{given}; remove --append-to, or give a file of {older.kind}."
        )


def _require_sources(older: VersionManifest, sources: Mapping[str, readers.Source]) -> None:
    """Raise an error if a field of the version to append to has no source.

    Raises:
        ConfigError: A field has no source.
    """
    missing = [name for name in older.field_names if name not in sources]
    if missing:
        raise ConfigError(
            f"embedding version {older.name!r} has vector fields {', '.join(older.field_names)}, "
            f"but no file is given for {', '.join(missing)}. Add --field NAME=FILE for each."
        )


def _refuse_low_coverage(covered: Shares, join: _Join, file: Path) -> None:
    """Raise an error if a version covers too few test impressions.

    Raises:
        DataError: The share of covered test impressions is below `LOW_COVERAGE`.
    """
    if covered.test is None or covered.test >= LOW_COVERAGE:
        return
    unmatched = join.unmatched
    listed = pairs(unmatched.examples, join.raw_ids)
    known = ", ".join(map(repr, join.raw_ids[:SHOWN]))
    raise DataError(
        f"{file}: only {covered} have a vector; a version requires "
        f"{100 * LOW_COVERAGE:.0f} % of the test impressions. Nothing was stored. "
        + (
            f"{unmatched.count:,} of {join.rows:,} ids match no item, such as {listed}; the data "
            f"set has {known}. Write ids as in the log{_numeric_hint(join)}. "
            if unmatched.count
            else "All ids in the file are items; check that the file contains all vectors. "
        )
        + "If the low coverage is intended, add --allow-low-coverage."
    )


def _numeric_hint(join: _Join) -> str:
    """Return the advice to compare ids as numbers, if examples would match that way."""
    if join.numeric or not {*_as_numbers(join.unmatched.examples)} & {*_as_numbers(join.raw_ids)}:
        return ""
    return ", or add --numeric-ids, which matches 007 with 7"


def _provenance(source: readers.Source) -> dict[str, Any]:
    ids = {"ids_file": source.ids.name} if source.ids else {}
    options = {name: getattr(source, name) for name in OPTIONS}
    named = {name: value for name, value in options.items() if value not in (None, False)}
    return {"method": "file", "file": source.vectors.name, **ids, **named}


@dataclass
class _Ids:
    """The number of ids of one kind, and the first five in alphabetical order."""

    count: int = 0
    examples: tuple[str, ...] = ()

    def note(self, met: list[str]) -> None:
        self.count += len(met)
        self.examples = tuple(sorted({*self.examples, *met})[:5])

    def __str__(self) -> str:
        return ", ".join(self.examples) + (", …" if self.count > len(self.examples) else "")


@dataclass
class _Join:
    """The table under construction, and the notes and problems of its rows."""

    path: Path
    raw_ids: Sequence[str]
    old: EmbeddingTable | None
    numeric: bool = False  # whether ids are compared as numbers where they are numbers
    rows: int = 0
    merged: int = 0  # rows that repeat a stored vector
    notes: tuple[str, ...] = ()  # of the reader
    unmatched: _Ids = field(default_factory=_Ids)
    not_finite: _Ids = field(default_factory=_Ids)
    too_large: _Ids = field(default_factory=_Ids)
    too_short: _Ids = field(default_factory=_Ids)  # not zero, but too short for float32
    contradictory: _Ids = field(default_factory=_Ids)  # ids with two vectors in the file
    changed: _Ids = field(default_factory=_Ids)  # ids whose vector differs from the older version

    collided: _Ids = field(default_factory=_Ids)  # names that several items can have
    of_name: dict[str, list[str]] = field(default_factory=dict)  # items by id up to the first dot

    def __post_init__(self) -> None:
        compared = _as_numbers(self.raw_ids) if self.numeric else self.raw_ids
        self.index = {raw: item_id for item_id, raw in enumerate(compared, start=1)}
        if len(self.index) < len(self.raw_ids):
            raise _equal_as_numbers(self.raw_ids, compared)
        self.has_vector = np.zeros(len(self.raw_ids) + 1, bool)
        if self.old:
            self.has_vector[:] = self.old.has_vector
        self.vectors: np.ndarray | None = None  # created with the first block

    def place(self, block: readers.VectorBlock) -> None:
        """Write each finite vector of a known item into its row."""
        if self.vectors is None:
            self.vectors = self._table(block.vectors)
        with np.errstate(over="ignore"):
            vectors = block.vectors.astype(self.vectors.dtype)
        given, stored = _finite(block.vectors), _finite(vectors)
        ids = self._whole(block.ids) if self.of_name else block.ids
        ids = _as_numbers(ids) if self.numeric else ids
        item_id = np.fromiter((self.index.get(raw, 0) for raw in ids), int, len(ids))
        self.rows, self.notes = self.rows + len(block.ids), block.notes
        self.not_finite.note(_pick(block.ids, ~given))
        self.too_large.note(_pick(block.ids, given & ~stored))
        short = stored & ~has_direction(vectors) & (block.vectors != 0).any(axis=1)
        self.too_short.note(_pick(block.ids, short))
        self.unmatched.note(_pick(block.ids, item_id == 0))
        usable = np.flatnonzero(stored & (item_id > 0))
        self._write(self.vectors, item_id[usable], vectors[usable])
        release(self.vectors)

    def _whole(self, names: list[str]) -> list[str]:
        """Return the ids of files whose names end at the first dot of the id."""
        items = [self.of_name.get(name, [name]) for name in names]
        self.collided.note(
            [
                f"{name}.npy ({' or '.join(found[:SHOWN])})"
                for name, found in zip(names, items, strict=True)
                if len(found) > 1
            ]
        )
        return [
            found[0] if len(found) == 1 else name for name, found in zip(names, items, strict=True)
        ]

    def _write(self, table: np.ndarray, item_id: np.ndarray, vectors: np.ndarray) -> None:
        """Write the first vector of each item; compare all others with it bit by bit."""
        items, first = np.unique(item_id, return_index=True)
        new = ~self.has_vector[items]
        table[items[new]] = vectors[first[new]]
        self.has_vector[items[new]] = True
        differs = (_bits(table[item_id]) != _bits(vectors)).any(1)
        self.merged += int((~differs).sum() - new.sum())
        for item in map(int, item_id[differs]):
            older = self.old is not None and self.old.has_vector[item]
            (self.changed if older else self.contradictory).note([self.raw_ids[item - 1]])

    def _table(self, vectors: np.ndarray) -> np.ndarray:
        """Return an empty table, or a copy of the older version."""
        dtype = np.dtype(np.float16 if vectors.dtype.itemsize == 2 else np.float32)
        if vectors.dtype.kind == "i":  # codes
            dtype = vectors.dtype
        shape = (len(self.has_vector), vectors.shape[1])
        if self.old is None:
            return new_table(self.path, shape, dtype)
        old = self.old.vectors
        if old.shape != shape:
            raise DataError(
                f"vectors in the file have {shape[1]} numbers, those of the version to append to "
                f"{old.shape[1]}; the widths must be equal."
            )
        table = new_table(self.path, shape, np.promote_types(old.dtype, dtype))
        for rows in table_blocks(shape):
            table[rows] = old[rows]
        return table

    def problems(self, dataset: str, append_to: str | None) -> list[str]:
        """Return all reasons to reject the file."""
        if not self.rows:
            return ["the file contains no vectors."]
        found = {
            "vector(s) with NaN, infinite or missing numbers": self.not_finite,
            "vector(s) that do not fit into float32": self.too_large,
            f"vector(s) shorter than {SHORTEST:.1e} and too short for float32; multiply all "
            "vectors by one factor": self.too_short,
            "file(s) may belong to several items, since Ducho cuts names at the first dot; name "
            "the files by whole item ids, or write a table with ids": self.collided,
            "row(s) with another vector of the same id": self.contradictory,
            f"row(s) with another vector than in {append_to}, which is immutable": self.changed,
        }
        listed = [f"{ids.count:,} {what}: ids {ids}" for what, ids in found.items() if ids.count]
        if self.unmatched.count == self.rows:
            known = ", ".join(map(repr, self.raw_ids[:SHOWN]))
            listed.append(
                f"none of its ids ({self.rows:,}) is an item of data set {dataset!r}; the file has "
                f"{pairs(self.unmatched.examples, self.raw_ids)}, the data set has {known}. Ids "
                f"are compared as text{_numeric_hint(self)}."
            )
        return listed


def _by_name(raw_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the items by their ids up to the first dot, for names that are no whole id alone.

    >>> _by_name(["7", "a.x", "12.5", "12", "9.npy"])
    {'a': ['a.x'], '12': ['12', '12.5'], '9': ['9.npy']}
    """
    found: dict[str, list[str]] = {}
    for raw in raw_ids:
        name, dot, _ = raw.partition(".")
        if dot and name:
            found.setdefault(name, []).append(raw)
    for raw in raw_ids:
        if raw in found:
            found[raw].insert(0, raw)
    return found


def _as_numbers(ids: Sequence[str]) -> list[str]:
    """Return ids without the leading zeros and empty fractions of numbers.

    >>> _as_numbers(["007", "7.0", "-0", "a07"])
    ['7', '7', '0', 'a07']
    """
    return [_as_number(raw) for raw in ids]


def _as_number(raw: str) -> str:
    match = NUMERIC.fullmatch(raw)
    if match is None:
        return raw
    return match[2] if match[2] == "0" else match[1] + match[2]


def _equal_as_numbers(ids: Sequence[str], compared: Sequence[str]) -> DataError:
    """Return the error for items whose ids are equal as numbers; names the first ones."""
    first = dict[str, str]()
    both = (
        (first[number], raw)
        for raw, number in zip(ids, compared, strict=True)
        if first.setdefault(number, raw) != raw
    )
    one, other = next(both)
    return DataError(
        f"--numeric-ids is not possible: items {one!r} and {other!r} of the data set are the same "
        "number. Write the ids of the vectors as in the log, and remove --numeric-ids."
    )


def _finite(vectors: np.ndarray) -> np.ndarray:
    """Return whether all numbers of a row are finite, (n,) bool."""
    return np.asarray(np.isfinite(vectors).all(axis=1))


def _pick(ids: list[str], chosen: np.ndarray) -> list[str]:
    return [ids[row] for row in np.flatnonzero(chosen)]


def _bits(vectors: np.ndarray) -> np.ndarray:
    """Return the bits of the vectors as integers, (n, D), in which 0.0 and -0.0 differ."""
    return vectors.view(f"u{vectors.dtype.itemsize}")
