"""The README of an exported folder: every file, every input, and the formulas."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ctrbench.schema import CellRecord
from ctrbench.serving.features import CENTERED, HAS, UNIT, Feature, Features
from ctrbench.serving.graph import Served
from ctrbench.serving.requests import Lookups
from ctrbench.serving.tables import CODES, GIVEN, USERS, VALUES

Tables = Mapping[str, Any]  # whether a table exists, by file name


def readme(
    record: CellRecord,
    served: Served,
    lookups: Lookups,
    tables: Tables,
    state: Mapping[str, np.ndarray],
    opset: int,
) -> str:
    """Return the text of the README.

    Args:
        record: The record of the cell.
        served: The model.
        lookups: The values of every input.
        tables: Whether each optional table exists.
        state: The weights by name.
        opset: The version of the operators of ONNX.
    """
    cell, features = record.cell, lookups.features
    parts = [
        f"# {cell.label}",
        f"A CTR model that ctrbench trained: cell `{record.hash}`, data set `{cell.dataset}`, "
        f"version `{cell.version_label}`, mode `{cell.mode}`, seed {cell.seed}. It predicts "
        f"{_outcome(cell.outcome)}.",
        "## Files",
        _files(cell.version is not None, tables),
        "Check the folder with `python serve_check.py`, which requires only numpy and onnxruntime.",
        "## A request",
        _request(features, tables),
        "## Inputs",
        _inputs(features),
    ]
    if cell.version is not None:
        parts += ["## Images", *_images(lookups, tables, served)]
    parts += [
        "## Weights",
        "`model.safetensors` holds these tensors. `image_layers.` are the parameters of the mode, "
        "such as the projection of a vector or the embedding of codes; `image.` are the blocks "
        "through which images enter the model.",
        _table(
            ("tensor", "type", "shape"),
            [
                (f"`{n}`", str(v.dtype), " x ".join(map(str, v.shape)) or "one number")
                for n, v in state.items()
            ],
        ),
        "## Versions",
        f"ONNX operators: opset {opset}. Trained with "
        + ", ".join(f"{name} {value}" for name, value in sorted(record.environment.items()))
        + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _outcome(outcome: str | None) -> str:
    return f"the label `{outcome}`" if outcome else "clicks"


def _files(has_images: bool, tables: Tables) -> str:
    rows = [
        ("`model.onnx`", "the model; outputs `logit` and `p_click` = 1 / (1 + exp(-`logit`))"),
        ("`features.json`", "every input: name, type, shape, defaults, mean and deviation"),
        (
            "`items.parquet`",
            "the inputs of every item by its raw `id`; the row without an `id` is that of an "
            "unknown item",
        ),
    ]
    if tables[USERS]:
        rows.append(
            (f"`{USERS}`", "the same for users; the row without an `id` is an unknown user")
        )
    if tables[VALUES]:
        rows.append(
            (
                f"`{VALUES}`",
                "`input`, `value`, `code`: the code of every value that training has seen; other "
                "values have the code `unknown` of features.json, absent ones `missing`",
            )
        )
    if tables[CODES]:
        rows.append(
            (f"`{CODES}`", f"raw `id` and codes of every item with a vector: {_listed(tables)}")
        )
    if has_images:
        rows.append(
            (
                "`encoder/`",
                "arrays that encode the vectors of new items, such as centres, described in "
                "`encoder/encoder.json`; `.npy` files",
            )
        )
    rows += [
        (
            "`golden.json`",
            "requests with expected outputs: normal, one impression, empty and full history, "
            "unknown values. An array is an object of `dtype`, `shape` and flat `data`; null is "
            "NaN. `impressions` are the raw ids and values of the batch `test`",
        ),
        (
            "`golden.parquet`",
            "the impressions of the batch `test` with raw ids, histories, values and expected "
            "outputs, to test look-ups and model together",
        ),
        ("`serve_check.py`", "checks the files and reproduces the golden outputs"),
        ("`model.safetensors`", "the weights, without pickled data"),
        ("`model.json`", "settings and sizes from which `load_model.py` builds the model"),
        ("`load_model.py`", "loads the weights into a PyTorch module; requires ctrbench"),
        ("`files.json`", "SHA-256 of every file"),
    ]
    return _table(("file", "content"), rows)


def _request(features: Features, tables: Tables) -> str:
    lines = [
        "A request has B impressions and U items: every item that is shown or was clicked. Items "
        "may be listed once or several times.\n",
        "1. Collect the raw ids of the shown item and of the latest "
        f"{features.history_length} clicked items of each impression, oldest first. The model "
        "ignores older clicks.",
        "2. Look every item up in `items.parquet`, and fill the inputs whose first axis is U. An "
        "item without a row has the inputs of the row without an `id`. Images of new items: see "
        "below.",
        "3. `target[b]` is the place of the shown item in the list of items. `history[b, t]` is "
        "the place of a clicked item; pad with -1 to the longest history, at least one slot.",
        "4. Fill the inputs whose first axis is B: the state of the user as of the snapshot"
        + (f", the fields of the user from `{USERS}`" if tables[USERS] else "")
        + (f", and other values by `{VALUES}`." if tables[VALUES] else "."),
    ]
    return "\n".join(lines)


def _inputs(features: Features) -> str:
    return _table(
        ("input", "type", "shape", "missing", "unknown", "meaning"),
        [_row(one) for one in features.inputs],
    )


def _row(one: Feature) -> tuple[str, ...]:
    missing = "NaN" if one.kind == "number" else one.missing
    if isinstance(missing, tuple):
        missing = "see features.json"
    scaled = "" if one.mean is None else "; the model standardises it"
    return (
        f"`{one.name}`",
        one.dtype,
        " x ".join(map(str, one.shape)),
        "" if missing is None else str(missing),
        "" if one.unknown is None else str(one.unknown),
        one.description + scaled,
    )


def _images(lookups: Lookups, tables: Tables, served: Served) -> list[str]:
    """Return the definitions of codes, similarities and prepared vectors."""
    mode, features = served.model.mode, lookups.features
    found = [
        "The unit vector of an item is `e = (v - m) / |v - m|`, where `v` is its vector, and `m` "
        "the mean vector `encoder/*mean.npy` of the items of the fitting period, or 0 without such "
        "a file. New items are encoded by `ctrbench encode FOLDER --vectors FILE`, which uses the "
        "arrays of `encoder/` alone and writes their rows of `items.parquet`."
    ]
    for part, piece in mode.pieces.items():
        text = inspect.getdoc(type(piece)) or ""
        title = f"### `{part}`" if part else "### The mode"
        dumped = piece.model_dump(mode="json", exclude={"learning_rate_factor"}, exclude_none=True)
        settings = ", ".join(f"{name} {value}" for name, value in dumped.items()) or "none"
        found += [title, text, f"Settings: {settings}."]
    for comparison in features.comparisons:
        unit = UNIT + comparison.key
        centered = " (centred)" if CENTERED in comparison.key else ""
        found.append(
            f"The similarity of the shown item and a clicked item is the sum over dimensions of "
            f"the products of their `{unit}`{centered}; it is 0 unless `{HAS + comparison.key}` is "
            "1 for both. The model computes it."
        )
    if tables[CODES]:
        found.append(
            f"`{CODES}` holds codes from 0: positions in the arrays of `encoder/`. The input "
            "`image.code` is the row of the code's embedding. Row 0 represents a missing image. "
            "The rows of each level follow those of the previous level: row = 1 + code + the "
            "number of codes of all previous levels."
        )
    if any(name.endswith(GIVEN) for name in tables[CODES]):
        found.append(
            f"These codes were made elsewhere. `{GIVEN}` holds them as they were given; the codes "
            "of each level are numbered from 0 in their order. New items with known codes have "
            "the numbers of the items that share them."
        )
    return found


def _listed(tables: Tables) -> str:
    return ", ".join(f"`{name}`" for name in tables[CODES])


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        "| " + " | ".join(one.replace("|", "\\|") for one in row) + " |" for row in lines
    )
