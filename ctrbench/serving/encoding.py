"""Inputs of new items, such as codes, from their vectors and the arrays of an exported folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.arrays import map_npy, save_array
from ctrbench.atomic import atomic_file, check_writable
from ctrbench.embeddings import Source, readers
from ctrbench.embeddings.directions import has_direction
from ctrbench.errors import ConfigError, DataError
from ctrbench.injection import Images, Injection, Prepared, unit_vectors
from ctrbench.schema import Cell
from ctrbench.serving.features import HAS, IMAGE, ITEM, UNIT, Comparison, Features, prefix
from ctrbench.serving.loading import damage, mode_of, read_description, whole_array
from ctrbench.serving.tables import as_table, part_of

FOLDER, INDEX = "encoder", "encoder.json"
MEAN = "mean"
SHOWN = 3  # ids in a message


@dataclass(frozen=True)
class Encoded:
    """The inputs of new items."""

    items: int
    without_vector: int  # items with a zero vector, which have the inputs of a missing one
    columns: tuple[str, ...]
    path: Path


def write_encoder(
    folder: Path,
    mode: Injection,
    images: Mapping[str | None, Images],
    comparisons: tuple[Comparison, ...],
    seed: int,
) -> dict[str, dict[str, np.ndarray] | None]:
    """Write what new items are encoded with, and return the arrays of each part of the mode.

    Args:
        folder: The exported folder.
        mode: The injection mode.
        images: The vectors by field; None is the first.
        comparisons: What the parts of the mode compare.
        seed: The seed of the cell.

    Returns:
        By part, the arrays; None for a part that cannot encode new items.
    """
    target = folder / FOLDER
    target.mkdir()

    def written(name: str, values: np.ndarray) -> dict[str, Any]:
        save_array(target / f"{name}.npy", values)
        return {"file": f"{name}.npy", "dtype": str(values.dtype), "shape": list(values.shape)}

    found = {part: piece.encoder(images[piece.field], seed) for part, piece in mode.pieces.items()}
    first = images.get(None)
    names = {id(one): field for field, one in images.items() if field is not None}
    index = {
        "parts": {
            part: {
                "field": piece.field or (names.get(id(first)) if first is not None else None),
                "width": images[piece.field].vectors.shape[1],
                "arrays": arrays
                and {name: written(prefix(part) + name, own) for name, own in arrays.items()},
                "encodes": arrays is not None,
            }
            for (part, piece), arrays in zip(mode.pieces.items(), found.values(), strict=True)
        },
        "compared": {
            one.key: {
                "field": one.field,
                "centered": one.centered,
                "mean": written(f"{UNIT}{one.key}.{MEAN}", images[one.field].mean())
                if one.centered
                else None,
            }
            for one in comparisons
        },
    }
    (target / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return found


def encode(folder: Path, source: Source | Mapping[str, Source], output: Path) -> Encoded:
    """Write the inputs of new items as a table like items.parquet, from the folder alone.

    Args:
        folder: A folder that `ctrbench export` wrote.
        source: The file of vectors, or one per vector field.
        output: The Parquet file to create.

    Raises:
        ConfigError: The output exists, the folder is not an exported model, its mode cannot encode
            new items or is not installed, or vectors of a field are missing.
        DataError: A file is damaged, or vectors have another width or invalid numbers.
        StoreError: The file cannot be written.
    """
    import pyarrow.parquet as pq

    if output.exists():
        raise ConfigError(f"{output} exists; name a file that does not exist.")
    check_writable(output)
    found = read_description(folder)
    with damage(folder):
        mode = mode_of(Cell.model_validate(found["cell"]))
        features = Features.model_validate(found["features"])
    if not any(one.kind == "image" for one in features.inputs):
        raise ConfigError(
            f"{folder}: the model has no input that depends on the vectors of new items. Their "
            "item_id is 0, the unknown item."
        )
    with damage(folder / FOLDER / INDEX):
        index = json.loads((folder / FOLDER / INDEX).read_text(encoding="utf-8"))
        parts = {part: index["parts"][part] for part in mode.pieces}
        widths = {one["field"]: one["width"] for one in parts.values()}
        fixed = [part or type(mode).__name__ for part, one in parts.items() if not one["encodes"]]
    if fixed:
        raise ConfigError(
            f"{folder}: {' and '.join(fixed)} cannot encode new items, because the codes were made "
            "elsewhere or the mode has no rule for them. Encode them there, and map them by "
            "codes.parquet."
        )
    ids, vectors = _read(folder, source, widths)
    has = np.logical_and.reduce([has_direction(own) for own in vectors.values()])
    columns: dict[str, np.ndarray] = {ITEM: np.zeros(len(ids), np.int64)}
    with damage(folder):
        for part, piece in mode.pieces.items():
            own, arrays = vectors[parts[part]["field"]], _arrays(folder, parts[part]["arrays"])
            encoded = piece.encode(own[has], arrays)
            codes = piece.codes_of(Prepared(item=encoded, whole=_whole(found, part)))
            for name, values in encoded.items():
                columns[IMAGE + prefix(part) + name] = values
            if codes is not None:
                columns[f"{prefix(part)}code"] = codes
        for key, one in index["compared"].items():
            mean = _arrays(folder, {MEAN: one["mean"]}).get(MEAN) if one["centered"] else None
            columns[UNIT + key] = unit_vectors(vectors[one["field"]][has], mean)
            columns[HAS + key] = np.ones(int(has.sum()), np.float32)
        missing = {one.name: one.missing for one in features.inputs}
        spread = {
            name: values if name == ITEM else _spread(values, has, missing.get(name, -1))
            for name, values in columns.items()
        }
        table = as_table(ids, _typed(spread, features))
    with atomic_file(output) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return Encoded(len(ids), int((~has).sum()), tuple(spread), output)


def require_same(
    mode: Injection,
    images: Mapping[str | None, Images],
    prepared: Prepared,
    arrays: Mapping[str, dict[str, np.ndarray] | None],
) -> None:
    """Check that `encode` gives known items the arrays that the mode prepared.

    Args:
        mode: The injection mode.
        images: The vectors by field.
        prepared: The arrays that the mode prepared.
        arrays: The result of `write_encoder`.

    Raises:
        DataError: More than 1 % of the items differ. A few may: two centres can be equally near.
    """
    for part, piece in mode.pieces.items():
        own = arrays[part]
        if own is None:
            continue
        one = images[piece.field]
        items = np.flatnonzero(one.has_vector)
        items = items[:: max(1, len(items) // CHECKED)]
        encoded = piece.encode(np.asarray(one.vectors[items]), own)
        for name, values in part_of(prepared, part).item.items():
            same = np.isclose(encoded[name], values[items], rtol=1e-4, atol=1e-5)
            differing = float((~same.reshape(len(items), -1).all(axis=1)).mean())
            if differing > MOST_DIFFERING:
                raise DataError(
                    f"{type(piece).__name__} encodes {differing:.1%} of the known items "
                    f"differently from `prepare` ({name}); correct its `encoder` and `encode`."
                )


CHECKED = 1000  # items that are encoded again
MOST_DIFFERING = 0.01


def _read(
    folder: Path, source: Source | Mapping[str, Source], widths: Mapping[str, int]
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return ids, and the vectors of each field in their order.

    Raises:
        ConfigError: Vectors of a field are missing, or a field is unknown.
        DataError: A file has no vectors, fields have other items, or vectors are invalid.
    """
    if isinstance(source, Source):
        if len(widths) > 1:
            raise ConfigError(
                f"{folder} reads the vector fields {', '.join(widths)}; give --field NAME=FILE for "
                "each."
            )
        source = dict.fromkeys(widths, source)
    if source.keys() != widths.keys():
        raise ConfigError(
            f"{folder} reads the vector fields {', '.join(widths)}, but vectors are given for "
            f"{', '.join(source)}; give --field NAME=FILE for each."
        )
    ids: list[str] | None = None
    found = {}
    for field, one in source.items():
        with tempfile.TemporaryDirectory() as scratch:
            blocks = [(b.ids, np.array(b.vectors)) for b in readers.read(one, Path(scratch))]
        own = [item for block, _ in blocks for item in block]
        if not own:
            raise DataError(f"{one.vectors} contains no vectors; give those of at least one item.")
        vectors = np.concatenate([values for _, values in blocks]).astype(np.float32)
        _check(one.vectors, own, vectors, widths[field])
        order = np.argsort(own) if ids is not None else np.arange(len(own))
        if ids is None:
            ids, found[field] = own, vectors
            continue
        if sorted(own) != sorted(ids):
            raise DataError(f"{one.vectors} has other items than the vectors of the first field.")
        place = np.empty(len(ids), np.int64)
        place[np.argsort(ids)] = order
        found[field] = vectors[place]
    assert ids is not None
    return ids, found


def _check(path: Path, ids: list[str], vectors: np.ndarray, width: int) -> None:
    if vectors.shape[1] != width:
        raise DataError(
            f"{path}: vectors have width {vectors.shape[1]}, but the model was trained on width "
            f"{width}. Give vectors of the same version."
        )
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = [item for item in ids if item in seen or seen.add(item)]
        raise DataError(
            f"{path}: {len(twice):,} ids occur twice, such as {', '.join(twice[:SHOWN])}; keep one "
            "vector per item."
        )
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        shown = ", ".join(ids[row] for row in wrong[:SHOWN].tolist())
        raise DataError(
            f"{path}: {len(wrong):,} vectors contain NaN or infinite numbers, such as those of "
            f"{shown}. Correct or remove them."
        )


def _arrays(folder: Path, forms: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Return the arrays of a part; each file is in the folder itself."""
    return {
        name: map_npy(folder / FOLDER / Path(form["file"]).name)
        for name, form in (forms or {}).items()
    }


def _whole(found: Mapping[str, Any], part: str) -> dict[str, np.ndarray]:
    start = prefix(part)
    return {
        name.removeprefix(start): whole_array(one)
        for name, one in found["prepared"]["whole"].items()
        if name.startswith(start)
    }


def _spread(values: np.ndarray, has: np.ndarray, missing: Any) -> np.ndarray:
    """Return the rows of items with a vector, and the missing value for the others."""
    spread = np.empty((len(has), *values.shape[1:]), values.dtype)
    spread[:] = np.reshape(missing, values.shape[1:]) if np.ndim(missing) else missing
    spread[has] = values
    return spread


def _typed(columns: Mapping[str, np.ndarray], features: Features) -> dict[str, Any]:
    dtypes = {one.name: one.dtype for one in features.inputs}
    return {name: values.astype(dtypes.get(name, "int64")) for name, values in columns.items()}
