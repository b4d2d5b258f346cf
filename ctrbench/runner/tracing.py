"""Trace how the parts of a model learn, and measure how much it relies on each input.

During the epoch, the recorder measures twenty times, for each part of the model, the norms of its
gradient, its update and its weights, and the values that the mode reports, such as a gate. After
training, the images or the item ids of the test period are permuted, and the decrease of each
metric is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctrbench.metrics import judged
from ctrbench.runner.measure import evaluate_period, scratch_of
from ctrbench.runner.parts import CellParts
from ctrbench.runner.preparation import read_tables
from ctrbench.schema import BlockPoint, Cell, CurvePoint, Metrics, Trace, TracePoint
from ctrbench.scratch import Scratch
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.models._base import Backbone

PERMUTATIONS = 3  # per input; reported losses are their mean
MLP = ("top_id.", "top.")
IDS = ("id_embedding.", "item_tables.", "row_tables.", "item_numbers.", "row_numbers.")
IMAGE = ("image.", "image_layers.")


def blocks(model: Backbone) -> dict[str, list[nn.Parameter]]:
    """Return the model's parameters by part; `attention` is all layers that read the history."""
    found: dict[str, list[nn.Parameter]] = {"ids": [], "image": [], "attention": [], "mlp": []}
    for name, parameter in model.named_parameters():
        if name.startswith(IMAGE):
            part = "image"
        elif name.startswith(IDS):
            part = "ids"
        else:
            part = "mlp" if name.startswith(MLP) else "attention"
        if parameter.numel():
            found[part].append(parameter)
    return {part: parameters for part, parameters in found.items() if parameters}


class Recorder:
    """Measures a model at every point of its learning curve without changing it."""

    def __init__(self, parts: CellParts) -> None:
        self.points: list[TracePoint] = []
        self._model, self._mode = parts.model, parts.mode
        self._blocks = blocks(parts.model)
        self._before = {name: _copies(own) for name, own in self._blocks.items()}

    def __call__(self, point: CurvePoint) -> None:
        """Record the last batch's gradients and the L2 distance moved since the previous point."""
        found = {}
        for name, parameters in self._blocks.items():
            before, now = self._before[name], _copies(parameters)
            moved = _norm([new - old for new, old in zip(now, before, strict=True)])
            gradients = [_dense(own.grad) for own in parameters if own.grad is not None]
            found[name] = BlockPoint(gradient=_norm(gradients), update=moved, weight=_norm(before))
            self._before[name] = now
        self.points.append(
            TracePoint(
                impressions=point.impressions,
                loss=point.loss,
                blocks=found,
                reported=self._mode.report(self._model.image_layers),
            )
        )


def trace(
    workspace: Workspace, cell: Cell, parts: CellParts, recorder: Recorder, p_click: np.ndarray
) -> Trace:
    """Return the recorded points and the metrics lost when an input is permuted.

    Args:
        workspace: The workspace of the data set.
        cell: The trained cell.
        parts: Its parts, with the trained model.
        recorder: The recorder of its training.
        p_click: (n,) float, predictions of the test period.
    """
    log, scratch = parts.slots.impressions, scratch_of(workspace)
    whole = evaluate_period(log, "test", p_click, scratch=scratch)
    permuted = {"item_id": _losses(whole, parts, cell, "item_id", None, scratch)}
    if cell.version is not None:
        tables = read_tables(workspace, cell, parts.mode)
        has = np.logical_or.reduce([table.has_vector for table in tables.values()])
        permuted["image"] = _losses(whole, parts, cell, "image", has, scratch)
    return Trace(points=tuple(recorder.points), permuted=permuted)


def _losses(
    whole: Metrics,
    parts: CellParts,
    cell: Cell,
    which: str,
    has_vector: np.ndarray | None,
    scratch: Scratch,
) -> dict[str, float]:
    """Return the loss of each metric as a fraction, mean over permutations."""
    from ctrbench.training import predict

    lost: dict[str, list[float]] = {metric.name: [] for metric in judged()}
    for repeat in range(PERMUTATIONS):
        rng = stream(cell.seed, "permutation", which, repeat)
        packer = (
            parts.packer.with_permuted_ids(rng)
            if has_vector is None
            else parts.packer.with_permuted_images(rng, has_vector)
        )
        p_click = predict(parts.model, packer, "test", lambda share: None, scratch=scratch)
        found = evaluate_period(parts.slots.impressions, "test", p_click, scratch=scratch)
        for metric, values in lost.items():
            before, after = whole.value(metric), found.value(metric)
            if before is not None and after is not None:
                values.append(before - after)
    return {metric: float(np.mean(values)) for metric, values in lost.items() if values}


def _copies(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _dense(gradient: Tensor) -> Tensor:
    """Return a gradient's values; for a sparse one, those that are stored."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _norm(values: list[Tensor]) -> float:
    return float(np.sqrt(sum(float(value.square().sum()) for value in values)))
