"""What an arm costs where it is served: parameters, time of a prediction, bytes held and moved."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ctrbench import embeddings
from ctrbench.runner.building import Parts, build
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

BATCHES = (1, 1024)  # impressions of a request
REQUESTS = {1: 300, 1024: 30}  # timed
WARM_UP = 5  # more, before the clock runs
NUMBER_BYTES = 4  # of a vector's entry, as float32


@dataclass(frozen=True)
class Latency:
    """Of one request, in seconds: packing and the model, on one thread."""

    median_s: float
    p99_s: float


@dataclass(frozen=True)
class Cost:
    """Of one arm; what its baseline costs is not taken off."""

    parameters: int
    latency: dict[int, Latency]  # by impressions of a request
    item_bytes: int  # that an online server holds for each item, for the images' sake
    request_bytes: int  # that it moves for one impression with a full history


def measure_cost(workspace: Workspace, cell: Cell) -> Cost:
    """Build an arm's model, untrained, which costs what the trained one does, and time it.

    A mode that scores pairs of items (`Prepared.slot`) needs the vectors online; their bytes are
    counted in place of the scores, which no server could hold for all pairs.

    Raises:
        DataError: the mode cannot be prepared on these vectors.
        StoreError: the cache cannot be written.
    """
    parts = build(workspace, cell)
    item_bytes = _item_bytes(workspace, cell, parts)
    return Cost(
        parameters=sum(parameter.numel() for parameter in parts.model.parameters()),
        latency={size: _latency(parts, size) for size in BATCHES},
        item_bytes=item_bytes,
        request_bytes=(1 + parts.settings.history_length) * item_bytes,
    )


def _item_bytes(workspace: Workspace, cell: Cell, parts: Parts) -> int:
    if cell.version is None:
        return 0
    arrays = parts.prepared.item.values()
    held = sum(values.itemsize * int(np.prod(values.shape[1:])) for values in arrays)
    if parts.prepared.slot:
        held += NUMBER_BYTES * embeddings.read_manifest(workspace, cell.dataset, cell.version).width
    return held


def _latency(parts: Parts, size: int) -> Latency:
    """Requests of the test period's impressions, drawn in order, over and over if need be."""
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
