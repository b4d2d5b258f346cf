"""A data set of six items whose raw ids are digits, letters or both."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ctrbench import embeddings
from ctrbench.schema import DatasetManifest, EmbeddingTable, Impressions, Split
from ctrbench.workspace import Workspace

RAW_IDS = ["7", "12", "a", "b", "0042", "99"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


@pytest.fixture
def dataset() -> DatasetManifest:
    return DatasetManifest(
        name="tiny",
        importer="test",
        label="coin",
        split=Split(kind="time", shares=(0.25, 0.25, 0.25, 0.25)),
        periods={"pretrain": (0, 1), "train": (1, 2), "valid": (2, 3), "test": (3, 4)},
        history="derived",
        has_timestamp=True,
        has_weight=False,
        has_images=False,
        fields=(),
        counts={"impressions": 4, "clicks": 2, "users": 2, "items": 6, "history_items": 2},
        content_hash="c",
        items_hash="i",
        created="2026-01-01T00:00:00+00:00",
        ctrbench_version="0",
    )


@pytest.fixture
def log(dataset) -> Impressions:
    """Return four impressions, one per period, without histories; `test` shows item 4, `b`."""
    zero = np.zeros(4, np.int32)
    names = [field.name for field in dataclasses.fields(Impressions)]
    columns = {**dict.fromkeys(names), "item_id": np.array([1, 2, 3, 4], np.int32)}
    history = {"history_start": zero.astype(np.int64), "history_length": zero}
    return Impressions(
        **{**columns, **history, "manifest": dataset, "history_items": zero[:0]}  # pyright: ignore
    )


@pytest.fixture
def add(workspace, log, tmp_path):
    """Add {raw id: vector} as a version through an .npz file, with any coverage."""

    def add_rows(version, rows, append_to=None, dtype=np.float32, low=True):
        path = tmp_path / f"{version}.npz"
        np.savez(path, key=np.array(list(rows)), value=np.array(list(rows.values()), dtype))
        source = embeddings.Source(path)
        return embeddings.add_version(workspace, log, RAW_IDS, version, source, append_to, low)

    return add_rows


def table_of(rows: dict[int, list[float]], items: int = 6) -> EmbeddingTable:
    """Return a table in memory from {item_id: vector}."""
    width = len(next(iter(rows.values())))
    vectors, has_vector = np.zeros((items + 1, width), np.float32), np.zeros(items + 1, bool)
    for item_id, vector in rows.items():
        vectors[item_id], has_vector[item_id] = vector, True
    return EmbeddingTable(vectors, has_vector)
