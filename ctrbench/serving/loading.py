"""Loads the PyTorch model of an exported folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ctrbench.arrays import NPY_ERRORS
from ctrbench.batches.packing import InputSizes
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.injection import Injection, Prepared, load_mode
from ctrbench.models import load_backbone
from ctrbench.schema import Cell
from ctrbench.serving.features import Features, to_batch
from ctrbench.serving.graph import Served
from ctrbench.settings import ModelSettings

STATE, DESCRIPTION = "model.safetensors", "model.json"
MOST_NUMBERS = 1 << 16  # of an array of `Prepared.whole` that the description holds


class _Trained:
    """A mode in a model whose ID embedding is loaded, so that nothing initialises it."""

    def __init__(self, mode: Injection) -> None:
        self.layers, self.inject, self.pieces = mode.layers, mode.inject, mode.pieces

    def starting_ids(self, prepared: Prepared, model: ModelSettings) -> None:
        """Return nothing."""


def describe(
    cell: Cell, settings: ModelSettings, sizes: InputSizes, features: Features, prepared: Prepared
) -> dict[str, Any]:
    """Return the JSON object from which `load` builds the model.

    Args:
        cell: The trained cell.
        settings: The settings of its model.
        sizes: The sizes of its tables and inputs.
        features: Its inputs.
        prepared: The arrays that its mode prepared.
    """
    return {
        "cell": cell.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
        "sizes": vars(sizes),
        "features": features.model_dump(mode="json"),
        "prepared": {
            "item": {name: _form(values[:1]) for name, values in prepared.item.items()},
            "slot": {name: _form(values[:0]) for name, values in prepared.slot.items()},
            "whole": {
                name: {**_form(values), "data": np.asarray(values).ravel().tolist()}
                for name, values in prepared.whole.items()
                if values.size <= MOST_NUMBERS
            },
        },
    }


def read_description(folder: Path) -> dict[str, Any]:
    """Return the description of an exported model.

    Raises:
        ConfigError: The folder is not one that `ctrbench export` wrote.
        DataError: The description is damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ConfigError(
            f"{folder} is not an exported model: it has no {DESCRIPTION}. Give a folder that "
            "`ctrbench export` wrote."
        )
    with damage(path):
        return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn errors about the content of an exported folder into a message.

    Args:
        path: The file or the folder, for the message.

    Raises:
        DataError: The content is damaged, or was edited.
    """
    try:
        yield
    except (OSError, *NPY_ERRORS, LookupError, AttributeError, RuntimeError, MemoryError) as error:
        clear = isinstance(error, OSError | ValueError)
        text = str(error) if clear else f"{type(error).__name__}: {error}"
        reason = " ".join(text.split())[:200]
        raise DataError(f"{path} is damaged ({reason}). Export the cell again.") from error


def mode_of(cell: Cell) -> Injection:
    """Return the mode of a cell.

    Raises:
        ConfigError: The mode is not installed.
    """
    try:
        return load_mode(cell.mode, cell.mode_settings)
    except (UnknownNameError, ConfigError) as error:
        raise ConfigError(
            f"the mode {cell.mode!r} of {cell.label} cannot be loaded: {error} If another package "
            "provided it, install that package."
        ) from error


def load(folder: Path) -> Served:
    """Return the model of an exported folder in PyTorch, with the inputs of features.json.

    Raises:
        ConfigError: The folder is not an exported model, or its mode is not installed.
        DataError: A file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found = read_description(folder)
    try:
        state = load_file(folder / STATE)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder / STATE} is damaged ({error}). Export the cell again.") from error
    with damage(folder):
        _check_shapes(found, state)
        return build(found, state)


def _check_shapes(found: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Check that a model has the shapes of its weights, before its memory is allocated.

    Raises:
        ValueError: A shape differs.
    """
    try:
        planned = build(found, {}, "meta").model.state_dict()
    except RuntimeError:  # a mode or backbone that computes with its initial weights
        return
    for name, values in planned.items():
        if name in state and values.shape != state[name].shape:
            shapes = f"{tuple(state[name].shape)} instead of {tuple(values.shape)}"
            raise ValueError(f"the weights {name!r} have shape {shapes}")


def build(found: Mapping[str, Any], state: Mapping[str, Any], device: str = "cpu") -> Served:
    """Return the model of a description with its weights.

    Args:
        found: The description.
        state: The tensors by name; empty: the weights stay as they were drawn.
        device: Where the weights are; `meta`: nowhere, only their shapes are known.

    Raises:
        ConfigError: The mode is not installed.
    """
    import torch

    cell = Cell.model_validate(found["cell"])
    settings = ModelSettings.model_validate(found["settings"])
    features = Features.model_validate(found["features"])
    whole = mode_of(cell)
    mode: Any = _Trained(whole)
    kinds = found["prepared"]
    prepared = Prepared(
        item={name: _zeros(form) for name, form in kinds["item"].items()},
        slot={name: _zeros(form) for name, form in kinds["slot"].items()},
        whole={name: whole_array(one) for name, one in kinds["whole"].items()},
    )
    probe = to_batch(features, mode, {n: torch.from_numpy(v) for n, v in _one(features).items()})
    backbone = load_backbone(settings.backbone)
    sizes = InputSizes(**found["sizes"])
    with torch.device(device):
        model = backbone(sizes, settings, mode, prepared, probe, cell.seed)
    model.mode = whole
    if state:
        model.load_state_dict(dict(state))
    return Served(model, features)


def _one(features: Features) -> dict[str, np.ndarray]:
    """Return a request of one impression and one item, of zeros."""
    return {
        one.name: np.zeros([size if isinstance(size, int) else 1 for size in one.shape], one.dtype)
        for one in features.inputs
    }


def whole_array(form: Mapping[str, Any]) -> np.ndarray:
    """Return an array whose numbers are in the description.

    Raises:
        ValueError: Its type is not one of numbers.
    """
    return np.array(form["data"], _dtype(form)).reshape(form["shape"])


def _dtype(form: Mapping[str, Any]) -> np.dtype:
    dtype = np.dtype(form["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"{dtype} is no type of numbers")
    return dtype


def _form(values: np.ndarray) -> dict[str, Any]:
    return {"dtype": str(values.dtype), "shape": list(values.shape)}


def _zeros(form: Mapping[str, Any]) -> np.ndarray:
    return np.zeros(form["shape"], _dtype(form))
