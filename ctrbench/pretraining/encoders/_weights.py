"""Read a file of weights without running anything that it holds."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ctrbench.errors import ConfigError


def load_weights(network: nn.Module, path: Path, apart: tuple[str, ...] = ()) -> None:
    """Fill a network from a file.

    Args:
        network: filled in place.
        path: .safetensors, or a dictionary of tensors that torch saved.
        apart: prefixes of names that the file may lack, or hold in another shape.

    Raises:
        ConfigError: the file is missing or damaged, or does not fit.
    """
    found, own = _read(path), network.state_dict()
    needed = {name for name in own if not name.startswith(apart)}
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
    network.load_state_dict({name: found[name] for name in needed}, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ConfigError(f"no weights file {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ConfigError(f"weights {path} are damaged: {str(error).splitlines()[0]}") from error
    except Exception as error:  # an unpickler's refusal, of whatever class
        raise ConfigError(
            f"weights {path} hold more than tensors and are not loaded; save a plain state_dict, "
            "best as .safetensors."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ConfigError(f"weights {path} must hold a dictionary of tensors (a state_dict).")
    return found
