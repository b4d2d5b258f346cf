"""Reads a file of weights without executing code from it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from ctrbench.errors import ConfigError, first_line


def load_weights(network: nn.Module, path: Path, optional: tuple[str, ...] = ()) -> None:
    """Load weights from a file into a network.

    Args:
        network: The network, modified in place.
        path: A .safetensors file, or a dictionary of tensors saved by torch.
        optional: Prefixes of tensors that may be missing or have another shape.

    Raises:
        ConfigError: The file is missing or damaged, or does not fit the network.
    """
    found, own = _read(path), network.state_dict()
    needed = {name for name in own if not name.startswith(optional)}
    wrong = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(needed & found.keys())
        if found[name].shape != own[name].shape
    ]
    missing = sorted(needed - found.keys())
    if missing or wrong:
        lacks = f"lacks {len(missing)} tensors, such as {missing[0]}" if missing else ""
        shapes = f"has other shapes: {wrong[0]}" if wrong else ""
        raise ConfigError(
            f"weights {path} do not fit {type(network).__name__}: the file "
            f"{' and '.join(filter(None, (lacks, shapes)))}."
        )
    try:
        network.load_state_dict({name: found[name] for name in needed}, strict=False)
    except RuntimeError as error:
        raise ConfigError(f"weights {path} are not plain tensors: {error}") from error


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ConfigError(f"no weights file {path}; give the path of an existing file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        mapped = zipfile.is_zipfile(path)  # so that nothing is unpacked
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ConfigError(f"weights {path} are damaged: {first_line(error)}") from error
    except Exception as error:  # unpicklers raise various classes
        raise ConfigError(
            f"weights {path} contain objects other than tensors and are not loaded; save a plain "
            "state_dict, preferably as .safetensors."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ConfigError(f"weights {path} must contain a dictionary of tensors (a state_dict).")
    return found
