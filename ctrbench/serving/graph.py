"""The exported model: a backbone that reads a request, in PyTorch and as ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrbench.errors import ConfigError, ContractError, first_line
from ctrbench.serving.features import Features, to_batch

if TYPE_CHECKING:
    from ctrbench.models._base import Backbone

OUTPUTS = "logit", "p_click"
INSTALL = "pip install 'ctrbench[onnx]'"
OLDEST_OPSET, OPSET = 18, 18  # the oldest that the exporter of torch writes, and the default


class Served(nn.Module):
    """A trained model that reads requests."""

    def __init__(self, model: Backbone, features: Features) -> None:
        """Store the model in evaluation mode.

        Args:
            model: The trained model, on the CPU.
            features: Its inputs.
        """
        super().__init__()
        self.model, self.features = model, features
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and click probabilities, (B,) float32 each.

        Args:
            tensors: The inputs in the order of `features`.
        """
        given = dict(zip(self.features.names, tensors, strict=True))
        logit = self.model(to_batch(self.features, self.model.mode, given))
        return logit, torch.sigmoid(logit)

    @torch.no_grad()
    def run(self, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of a request, (B,) float32 by name."""
        tensors = [torch.from_numpy(np.ascontiguousarray(request[n])) for n in self.features.names]
        return dict(zip(OUTPUTS, (out.numpy() for out in self(*tensors)), strict=True))


def check_opset(opset: int) -> None:
    """Check that ONNX can be written, and in a version.

    Args:
        opset: The version of the operators of ONNX.

    Raises:
        ConfigError: A library is missing, or it cannot write the version.
    """
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if not _installed(name)]
    if missing:
        raise ConfigError(
            f"`ctrbench export` requires {', '.join(missing)}, not installed here; {INSTALL}."
        )
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not isinstance(opset, int) or not OLDEST_OPSET <= opset <= newest:
        raise ConfigError(
            f"opset {opset!r} cannot be written: the installed onnx {onnx.__version__} and torch "
            f"write {OLDEST_OPSET} to {newest}. Give one of these, or install another onnx."
        )


def write_onnx(served: Served, example: Mapping[str, np.ndarray], path: Path, opset: int) -> None:
    """Write a model as ONNX with dynamic numbers of impressions, items, slots and list entries.

    Args:
        served: The model.
        example: A request with at least two of each.
        path: The file.
        opset: The version of the operators.

    Raises:
        ContractError: The mode or backbone computes something that ONNX cannot express.
    """
    shapes: list[dict[int, Any]] = []
    dims = {name: torch.export.Dim(name) for name in ("B", "U", "T")}
    for one in served.features.inputs:
        shapes.append(
            {
                axis: dims.get(size) or torch.export.Dim.DYNAMIC
                for axis, size in enumerate(one.shape)
                if isinstance(size, str)
            }
        )
    tensors = tuple(
        torch.from_numpy(np.ascontiguousarray(example[name])) for name in served.features.names
    )
    logging_level = logging.getLogger("torch.onnx").level
    try:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                served,
                tensors,
                input_names=list(served.features.names),
                output_names=list(OUTPUTS),
                dynamic_shapes={"tensors": tuple(shapes)},
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            program.save(path)
    except OSError:  # of the file
        raise
    except Exception as error:  # of many kinds; the last line of the exporter names the operation
        mode = type(served.model.mode).__name__
        reason = first_line(error)
        raise ContractError(
            f"{mode} with {type(served.model).__name__} cannot be written as ONNX: {reason} Sizes "
            "must come from shapes, never from values; see docs/add_mode.md."
        ) from error
    finally:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging_level)


NOISY = "torch.onnx", "torch.export", "onnxscript", "onnx_ir"  # loggers of notes for developers


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
