"""Warm start: what the baseline has learned on the first part of `train`, for every arm of a seed.

A team adds images to a model that runs. So the baseline is trained first, and then images come in,
beside a baseline that goes on likewise; a training from scratch lets images stand in for ids that
are still raw, and exaggerates.
"""

from __future__ import annotations

from typing import Any

from ctrbench.atomic import atomic_file
from ctrbench.identity import hash_json
from ctrbench.locks import lock
from ctrbench.runner.building import baseline_of, build
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

IMAGE = ("image.", "image_layers.")  # parameters that a baseline does not have


def warm_state(workspace: Workspace, cell: Cell) -> dict[str, Any]:
    """Parameters and optimisers' states of the baseline after the first part of `train`.

    Trained once for all arms of a seed, under a lock, and kept in the cache.

    Raises:
        DivergedError: the loss became infinite or NaN.
        StoreError: the cache cannot be written.
    """
    import torch

    key = hash_json(
        {
            "protocol": cell.protocol,
            "data": cell.data_hash,
            "model": cell.model,
            "training": cell.training,
            "seed": cell.seed,
        }
    )
    path = workspace.cache / "warm_start" / cell.dataset / f"{key}.pt"
    with lock(workspace.cache / "locks" / f"warm-{key}.lock"):
        if not path.exists():
            state = _trained(workspace, cell)
            with atomic_file(path) as temporary:
                torch.save(state, temporary)
    return torch.load(path, map_location="cpu", weights_only=True)


def go_on(model: Any, optimizers: list[Any], state: dict[str, Any]) -> None:
    """Give a model of the same seed, with images or without, what the baseline has learned.

    The image block keeps its draws, and an optimiser of its own without a past.
    """
    missing, unexpected = model.load_state_dict(state["model"], strict=False)
    assert not unexpected
    assert all(name.startswith(IMAGE) for name in missing), missing
    for optimizer, learned in zip(optimizers, state["optimizers"], strict=False):
        optimizer.load_state_dict(learned)


def _trained(workspace: Workspace, cell: Cell) -> dict[str, Any]:
    from ctrbench.training import fit, optimizers

    parts = build(workspace, baseline_of(cell))
    model, training = parts.model, parts.training
    chosen = optimizers(model, training)
    fit(model, parts.packer, training, cell.seed, lambda share: None, chosen, warming=True)
    return {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in chosen],
    }
