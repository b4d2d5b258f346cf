"""Requests with expected outputs, by which a serving team tests its own code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.exporting.rows import Rows
from ctrbench.json_text import plain
from ctrbench.seeding import stream
from ctrbench.serving.features import HISTORY, PADDING, TARGET, Features
from ctrbench.serving.requests import Lookups, Request

JSON, PARQUET = "golden.json", "golden.parquet"
IMPRESSIONS = 16  # of the golden impressions
RANDOM = ((1, 1, 1), (2, 3, 2), (33, 40, 7))  # impressions, items and slots of random requests


@dataclass(frozen=True)
class Golden:
    """A request and its expected outputs."""

    name: str
    description: str
    inputs: Request
    outputs: Request


def golden_rows(lookups: Lookups) -> np.ndarray:
    """Return the row numbers of test impressions, spread evenly, the longest history included."""
    log = lookups.packer.slots.impressions
    test = log.rows("test")
    spread = np.linspace(test.start, test.stop - 1, IMPRESSIONS).astype(np.int64)
    longest = test.start + int(np.argmax(log.history_length[test]))
    return np.unique([*spread, longest])


def requests_of(lookups: Lookups, rows: np.ndarray) -> dict[str, tuple[str, Request]]:
    """Return the golden requests: their descriptions and inputs by name.

    Args:
        lookups: The values of every input.
        rows: The golden impressions.
    """
    features, log = lookups.features, lookups.packer.slots.impressions
    whole = lookups.request(rows)
    longest = rows[[int(np.argmax(log.history_length[rows]))]]
    full = lookups.request(longest)
    clicks = full[HISTORY][full[HISTORY] >= 0]
    repeated = np.resize(clicks if len(clicks) else full[TARGET], features.history_length)
    empty = lookups.request(rows[:4])
    return {
        "test": ("impressions of the test period; golden.parquet has their raw ids", whole),
        "one": ("one impression", lookups.request(rows[:1])),
        "empty_history": (
            "impressions without clicks: the history is all padding",
            empty | {HISTORY: np.full((len(empty[TARGET]), 1), PADDING, np.int64)},
        ),
        "full_history": (
            "one impression whose history has as many clicks as the model reads",
            full | {HISTORY: repeated[None].astype(np.int64)},
        ),
        "unknown": (
            "an item, a user and values that training has not seen; numbers are missing",
            _unknown(lookups, rows[:2]),
        ),
    }


def random_requests(lookups: Lookups, seed: int) -> list[Request]:
    """Return requests of random items, clicks and values, each input on its own.

    Args:
        lookups: The values of every input.
        seed: The seed of the cell.
    """
    rng, found = stream(seed, "serving"), []
    log = lookups.packer.slots.impressions
    first = lookups.packer.slots.first_row
    for impressions, items, slots in RANDOM:
        rows = rng.integers(first, len(log.item_id), impressions)
        one = lookups.request(rows)
        drawn = lookups.padded(one | lookups.items(rng.integers(0, log.item_rows, items)))
        for feature in lookups.features.inputs:
            if feature.kind != "place":
                drawn[feature.name] = rng.permutation(drawn[feature.name])
        drawn[TARGET] = rng.integers(0, items, impressions)
        drawn[HISTORY] = rng.integers(PADDING, items, (impressions, slots))
        found.append(drawn)
    return found


def write_json(path: Path, features: Features, batches: Sequence[Golden], raw: Any) -> None:
    """Write requests and outputs; each array is an object of shape, dtype and flat data.

    Args:
        path: The file.
        features: The inputs of the model.
        batches: The requests.
        raw: The table of golden impressions.
    """
    content = {
        "batches": [
            {
                "name": one.name,
                "description": one.description,
                "inputs": {name: _array(one.inputs[name]) for name in features.names},
                "outputs": {name: _array(values) for name, values in one.outputs.items()},
            }
            for one in batches
        ],
        "impressions": raw.to_pylist(),
    }
    path.write_text(json.dumps(plain(content), allow_nan=False) + "\n", encoding="utf-8")


def raw_impressions(rows: Rows, golden: np.ndarray, outputs: Mapping[str, np.ndarray]) -> Any:
    """Return the golden impressions as a table with raw ids and values, and expected outputs.

    Args:
        rows: The raw ids and values of the data set.
        golden: The row numbers of the impressions.
        outputs: (B,) outputs by name.
    """
    import pyarrow as pa

    table = rows.table(golden)
    for name, values in outputs.items():
        table = table.append_column(name, pa.array(values))
    return table


def _array(values: np.ndarray) -> dict[str, Any]:
    flat: list[Any] = values.ravel().tolist()
    if values.dtype.kind == "f":
        flat = [None if value != value else value for value in flat]
    return {"dtype": str(values.dtype), "shape": list(values.shape), "data": flat}


def _unknown(lookups: Lookups, rows: np.ndarray) -> Request:
    """Return impressions whose first item, users and values are unknown or missing."""
    found = lookups.request(rows)
    default = lookups.padded(lookups.request(rows) | lookups.items(np.zeros(1, np.int64)))
    shown = found[TARGET][0]
    for one in lookups.features.inputs:
        values = found[one.name] = found[one.name].copy()
        if one.kind == "place":
            continue
        if one.of == "item":
            values[shown] = PADDING if one.kind == "list" else default[one.name][0]
        elif one.kind in ("code", "list"):
            values[:] = one.unknown if one.kind == "code" else PADDING
        if one.kind == "code" and one.of == "item":
            values[shown] = one.unknown
        if one.kind == "number":
            values[shown if one.of == "item" else slice(None)] = np.nan
    return found
