"""Build everything that training a cell requires: prepared arrays, packed batches, the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrbench import impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.executors import SLOT
from ctrbench.injection import BASELINE, Injection, Prepared, load_mode
from ctrbench.runner.preparation import prepare
from ctrbench.schema import Cell
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from ctrbench.batches.packing import Packer
    from ctrbench.models._base import Backbone

PROBE_ROWS = 16  # impressions from which a new model infers the widths that a mode injects


@dataclass(frozen=True)
class CellParts:
    """The parts of one cell."""

    settings: ModelSettings
    training: TrainingSettings
    mode: Injection
    slots: HistorySlots
    prepared: Prepared
    packer: Packer
    model: Backbone


def build(workspace: Workspace, cell: Cell) -> CellParts:
    """Prepare the mode, or load its cached arrays, and initialise the model on its device.

    Args:
        workspace: The workspace of the data set.
        cell: The cell to build.

    Raises:
        ConfigError: The cell's settings are invalid.
        ContractError: The mode violates the injection contract.
        DataError: The mode cannot be prepared on these vectors.
        StoreError: The cache cannot be written.
    """
    from ctrbench.batches.packing import Packer
    from ctrbench.models import load_backbone

    settings = ModelSettings.model_validate(cell.model)
    training = TrainingSettings.model_validate(cell.training)
    mode, backbone = load_mode(cell.mode, cell.mode_settings), load_backbone(settings.backbone)
    log = impressions.open_impressions(workspace, cell.dataset, cell.outcome)
    slots = HistorySlots(log, settings.history_length)
    prepared = prepare(workspace, cell, mode, slots)
    packer = Packer(slots, settings, prepared.item, prepared.slot)
    rows = log.rows("train")
    probe = packer.pack(np.arange(PROBE_ROWS) % (rows.stop - rows.start) + rows.start, None)
    model = backbone(packer.sizes, settings, mode, prepared, probe, cell.seed)
    model.to(_device(training.device))
    return CellParts(settings, training, mode, slots, prepared, packer, model)


def _device(name: str) -> torch.device:
    """Return the device of a cell; concurrent cells on `cuda` take turns at the GPUs."""
    import torch

    device = torch.device(name)
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", int(os.environ.get(SLOT, "0")) % torch.cuda.device_count())


def baseline_of(cell: Cell) -> Cell:
    """Return the cell's baseline: the same data, settings and seed, without images."""
    return cell.model_copy(
        update={
            "version": None,
            "vectors_hash": None,
            "control": None,
            "mode": BASELINE,
            "mode_revision": load_mode(BASELINE, {}).revision,
            "mode_settings": {},
            "repeat": 0,
        }
    )
