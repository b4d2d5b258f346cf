"""Move packed batches to the device of the model, without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from ctrbench.arrays import ahead
from ctrbench.batches.packing import Batch


def loaded(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches on a device.

    For a GPU a thread packs the next batch into pinned memory while the model computes, and the
    copy is asynchronous. On a CPU a thread would take time from the model, so there is none.

    Args:
        batches: Batches in the memory of the CPU, packed when they are requested.
        device: The device of the model.
    """
    if device.type == "cpu":
        yield from batches
        return
    if device.type == "cuda":
        batches = (batch.mapped(torch.Tensor.pin_memory) for batch in batches)
    for batch in ahead(batches):
        yield batch.to(device)
