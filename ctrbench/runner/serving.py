"""Measure the serving cost of an arm: parameters, latency, memory and transfer per request."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ctrbench import embeddings
from ctrbench.runner.parts import CellParts, build
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

BATCHES = (1, 1024)  # impressions per request
REQUESTS = {1: 300, 1024: 30}  # timed requests by batch size
WARM_UP = 5  # untimed requests before them
NUMBER_BYTES = 4  # float32


@dataclass(frozen=True)
class Latency:
    """Seconds per request: packing and the model, on one thread."""

    median_s: float
    p99_s: float


@dataclass(frozen=True)
class ServingCost:
    """The serving cost of one arm. The cost of its baseline is not subtracted."""

    parameters: int
    latency: dict[int, Latency]  # by impressions per request
    item_bytes: int  # image data per item that an online server holds
    request_bytes: int  # image data read for one impression with a full history


def measure_cost(workspace: Workspace, cell: Cell) -> ServingCost:
    """Return the serving cost of an arm, measured on an untrained model.

    A mode that scores pairs of items (`Prepared.slot`) requires the vectors online. Its vectors are
    counted instead of its scores, because no server can hold the scores of all pairs.

    Args:
        workspace: The workspace of the data set.
        cell: One cell of the arm.

    Raises:
        DataError: The mode cannot be prepared on these vectors.
        StoreError: The cache cannot be written.
    """
    parts = build(workspace, cell)
    item_bytes = _item_bytes(workspace, cell, parts)
    return ServingCost(
        parameters=sum(parameter.numel() for parameter in parts.model.parameters()),
        latency={size: _latency(parts, size) for size in BATCHES},
        item_bytes=item_bytes,
        request_bytes=(1 + parts.settings.history_length) * item_bytes,
    )


def _item_bytes(workspace: Workspace, cell: Cell, parts: CellParts) -> int:
    if cell.version is None:
        return 0
    arrays = parts.prepared.item.values()
    held = sum(values.itemsize * int(np.prod(values.shape[1:])) for values in arrays)
    if parts.prepared.slot:
        manifest = embeddings.read_manifest(workspace, cell.dataset, cell.version)
        held += NUMBER_BYTES * sum(manifest.of(field).width for field in parts.mode.reads)
    return held


def _latency(parts: CellParts, size: int) -> Latency:
    """Time requests that cycle through the test period's impressions in order."""
    import torch

    rows = parts.slots.impressions.rows("test")
    device = parts.model.id_embedding.weight.device
    parts.model.eval()
    seconds = []
    with torch.no_grad():
        for request in range(WARM_UP + REQUESTS[size]):
            first = request * size
            chosen = rows.start + np.arange(first, first + size) % (rows.stop - rows.start)
            start = time.perf_counter()
            parts.model(parts.packer.pack(np.sort(chosen), None).to(device)).cpu()
            seconds.append(time.perf_counter() - start)
    median, p99 = np.quantile(seconds[WARM_UP:], (0.5, 0.99))
    return Latency(float(median), float(p99))
