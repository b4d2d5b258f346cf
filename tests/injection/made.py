"""Small vectors and batches for tests by hand."""

import dataclasses

import numpy as np
import torch
from torch import nn

from ctrbench.batches.packing import Batch, Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.injection import Images, Injected, Injection, Prepared
from ctrbench.settings import ModelSettings

ROWS = np.arange(500, 600)


def images(vectors: np.ndarray, missing: tuple[int, ...] = (0,)) -> Images:
    has_vector = np.ones(len(vectors), bool)
    has_vector[list(missing)] = False
    return Images(vectors.astype(np.float32), has_vector, has_vector)


def drawn(slots: HistorySlots, width: int = 3, missing: tuple[int, ...] = (0, 5)) -> Images:
    rng = np.random.default_rng(0)
    return images(rng.normal(size=(slots.impressions.item_rows, width)), missing)


def packed(slots: HistorySlots, prepared: Prepared) -> Batch:
    settings = ModelSettings(history_length=slots.history_length)
    return Packer(slots, settings, prepared.item, prepared.slot).pack(ROWS, None)


def injected(mode: Injection, slots: HistorySlots, given: Images) -> tuple[Injected, Batch]:
    """Return the output of an untrained mode for a batch."""
    prepared = mode.prepare(given, slots, 0)
    batch = packed(slots, prepared)
    layers = nn.ModuleDict(mode.layers(prepared))
    with torch.no_grad():
        return mode.inject(layers, batch), batch


def raw_items(slots: HistorySlots, batch: Batch) -> Batch:
    """Return the batch with the ids of all items, including those that training does not see."""
    log = slots.impressions
    positions, _, _ = slots.positions(ROWS)
    ids = torch.zeros(len(batch.item_id), dtype=torch.int64)
    ids[batch.target] = torch.from_numpy(log.item_id[ROWS].astype(np.int64))
    ids[batch.history] = torch.from_numpy(log.history_items[positions].astype(np.int64))
    return dataclasses.replace(batch, item_id=ids)
