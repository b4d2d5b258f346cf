"""Warm start: all arms of a seed continue from a baseline trained on the first part of `train`.

A team adds images to a model that is already trained. Training from scratch overestimates the gain,
because images substitute for ID embeddings that are not trained yet. Here the baseline is trained
first. The arms with images and the baseline then continue from its state.
"""

from __future__ import annotations

from typing import Any

from ctrbench.arrays import save_tensors
from ctrbench.caches import kept
from ctrbench.identity import hash_json
from ctrbench.runner.helping import helped
from ctrbench.runner.parts import baseline_of, build
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

IMAGE = ("image.", "image_layers.")  # parameters that a baseline does not have
STATE = "state.pt"  # in a folder of the cache


def warm_state(workspace: Workspace, cell: Cell) -> dict[str, Any]:
    """Return the baseline's parameters and optimiser states after the first part of `train`.

    The baseline is trained once for all arms of a seed, under a lock, and cached.

    Args:
        workspace: The workspace whose cache holds the state.
        cell: Any cell of the seed and settings.

    Raises:
        DivergedError: The loss became infinite or NaN.
        StoreError: The cache cannot be written.
    """
    import torch

    key = hash_json(
        {
            "protocol": cell.protocol,
            "data": cell.data_hash,
            "model": cell.model,
            "training": cell.training,
            "seed": cell.seed,
            "states": 2,  # the version of their format
        }
    )
    folder = workspace.cache / "warm_start" / cell.dataset / key
    folder = kept(
        workspace, folder, lambda empty: save_tensors(empty / STATE, _trained(workspace, cell))
    )
    return torch.load(folder / STATE, map_location="cpu", weights_only=True)


def resume(model: Any, optimizers: list[Any], state: dict[str, Any]) -> None:
    """Load the baseline's state into a model of the same seed, with or without images.

    The image block keeps its initial values, and its optimiser starts without a state.

    Args:
        model: The model to change.
        optimizers: Its optimisers, in the order of `ctrbench.training.optimizers`.
        state: The result of `warm_state`.
    """
    missing, unexpected = model.load_state_dict(state["model"], strict=False)
    assert not unexpected
    assert all(name.startswith(IMAGE) for name in missing), missing
    for optimizer, learned in zip(optimizers, state["optimizers"], strict=False):
        optimizer.load_state_dict(learned)


def _trained(workspace: Workspace, cell: Cell) -> dict[str, Any]:
    from ctrbench.distributed import Processes
    from ctrbench.training import fit, optimizers

    with helped(_trained, cell):
        parts = Processes().together(lambda: build(workspace, baseline_of(cell)))
        model, training = parts.model, parts.training
        chosen = optimizers(model, training)
        fit(model, parts.packer, training, cell.seed, lambda share: None, chosen, warming=True)
    return {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in chosen],
    }
