"""The CTR training loop, shared by the baseline and every mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ctrbench.batches.loading import loaded
from ctrbench.batches.order import sequential_batches, shuffled_batches
from ctrbench.batches.packing import Batch, Packer
from ctrbench.errors import DivergedError
from ctrbench.metrics import auc
from ctrbench.models._base import Backbone
from ctrbench.optimizers import LazyAdam, RowwiseAdagrad
from ctrbench.schema import CurvePoint
from ctrbench.seeding import stream
from ctrbench.settings import TrainingSettings

PREDICT_ROWS = 1024  # impressions per batch outside training
CURVE_POINTS = 20  # per epoch

ShareProgress = Callable[[float], None]  # receives the finished share of the work, 0 to 1
Observer = Callable[[CurvePoint], None]


@dataclass
class _Curve:
    """The learning curve: loss and AUC of impressions, predicted before training on them.

    A step only collects its batch; the metrics are computed at the points of the curve.
    """

    points: list[CurvePoint] = field(default_factory=list)
    loss: list[Tensor] = field(default_factory=list)  # () each
    logit: list[Tensor] = field(default_factory=list)  # (B,) each
    click: list[Tensor] = field(default_factory=list)  # (B,) each

    def add(self, loss: Tensor, logit: Tensor, batch: Batch) -> None:
        self.loss.append(loss)
        self.logit.append(logit)
        self.click.append(batch.click)

    def close(self, impressions: int) -> None:
        sizes = [len(logit) for logit in self.logit]
        loss = float(np.average(torch.stack(self.loss).cpu().numpy(), weights=sizes))
        if not math.isfinite(loss):  # checked here, because every check waits for the device
            raise DivergedError(
                f"the loss became {loss} within {impressions} impressions; lower "
                "training.learning_rate, its table_learning_rate_factor or the mode's "
                "learning_rate_factor."
            )
        click = torch.cat(self.click).cpu().numpy() > 0
        both = 0 < click.sum() < len(click)
        ranked = auc(click, torch.cat(self.logit).cpu().sigmoid().numpy()) if both else None
        self.points.append(CurvePoint(impressions=impressions, loss=loss, auc=ranked))
        for collected in (self.loss, self.logit, self.click):
            collected.clear()


def fit(
    model: Backbone,
    packer: Packer,
    settings: TrainingSettings,
    seed: int,
    progress: ShareProgress,
    chosen: list[torch.optim.Optimizer] | None = None,
    warming: bool = False,
    observer: Observer | None = None,
) -> tuple[CurvePoint, ...]:
    """Train a model in place on the `train` period for exactly `epochs` epochs.

    With `warm_start`, the first part of the period is skipped, since the baseline was trained on
    it. With `weight_averaging`, the final weights are the mean of the weights at the last points of
    the curve, a twentieth of an epoch apart (Izmailov et al. 2018, arXiv:1803.05407).

    Args:
        model: An untrained model on its device.
        packer: Creates the batches of the data set.
        settings: The training settings.
        seed: The seed of the cell, for data order and id dropout.
        progress: Receives the finished share of impressions.
        chosen: Optimisers to continue with; None creates new ones.
        warming: Whether to train one epoch on the first part of the period, given by `warm_start`.
        observer: Receives every point of the curve, while the gradients of the last batch exist.

    Returns:
        The points of the learning curve.

    Raises:
        DivergedError: The loss became infinite or NaN.
    """
    device = model.id_embedding.weight.device
    rows = packer.slots.impressions.rows("train")
    warm = rows.start + round(settings.warm_start * (rows.stop - rows.start))
    rows = slice(rows.start, warm) if warming else slice(warm, rows.stop)
    epochs, part = (1, ("warm",)) if warming else (settings.epochs, ())
    total = epochs * (rows.stop - rows.start)
    chosen = optimizers(model, settings) if chosen is None else chosen
    penalty = _MiniBatchAwareL2(model.id_embedding, packer.item_counts, settings.mba_l2)
    curve, seen, step = _Curve(), 0, total / (epochs * CURVE_POINTS)
    averaged: AveragedModel | None = None
    parameters = list(model.parameters())
    half = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
    model.train()
    for epoch in range(epochs):
        dropout = settings.id_dropout, stream(seed, "id_dropout", *part, epoch)
        order = shuffled_batches(rows, settings.batch_size, seed, epoch)
        for batch in loaded((packer.pack(part, dropout) for part in order), device):
            with half:
                logit = model(batch)
            logit = logit.float()
            loss = F.binary_cross_entropy_with_logits(logit, batch.click, batch.weight)
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            penalty.add_gradient(batch.item_id)
            for optimizer in chosen:
                optimizer.step()
            curve.add(loss.detach(), logit.detach(), batch)
            seen += len(batch.click)
            if seen >= step * (len(curve.points) + 1) or seen == total:
                curve.close(seen)
                if observer is not None:
                    observer(curve.points[-1])
                if seen > (1 - settings.weight_averaging) * total:
                    averaged = averaged or AveragedModel(model, use_buffers=True)
                    averaged.update_parameters(model)
                progress(seen / total)
    if averaged is not None:
        model.load_state_dict(averaged.module.state_dict())
    return tuple(curve.points)


@torch.no_grad()
def predict(model: Backbone, packer: Packer, period: str, progress: ShareProgress) -> np.ndarray:
    """Return the predicted click probabilities of a period in stored order, (n,) float32.

    Args:
        model: The trained model.
        packer: Creates the batches of the data set.
        period: The name of the period.
        progress: Receives the finished share of impressions.

    Raises:
        DivergedError: A prediction is not finite.
    """
    device = model.id_embedding.weight.device
    rows = packer.slots.impressions.rows(period)
    found: list[Tensor] = []  # (B,) each; copied once, because every copy waits for the device
    model.eval()
    order, seen = sequential_batches(rows, PREDICT_ROWS), 0
    for batch in loaded((packer.pack(part, None) for part in order), device):
        found.append(torch.sigmoid(model(batch)))
        seen += len(batch.click)
        progress(seen / (rows.stop - rows.start))
    p_click = torch.cat(found).cpu().numpy()
    if not np.isfinite(p_click).all():
        raise DivergedError(f"{int((~np.isfinite(p_click)).sum())} predictions are not finite.")
    return p_click


def optimizers(model: Backbone, settings: TrainingSettings) -> list[torch.optim.Optimizer]:
    """Return the optimisers of dense parameters, of large tables and of the image block.

    Args:
        model: The model; its large tables are switched to sparse gradients.
        settings: The training settings.
    """
    image, rate, kind = model.image_parameters(), settings.learning_rate, settings.table_optimizer
    of_tables = []
    for table in model.tables():
        table.sparse = table.num_embeddings > settings.dense_rows
        if table.sparse:
            of_tables.append(table.weight)
    apart = {id(parameter) for parameter in (*image, *of_tables)}
    shared = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    found: list[torch.optim.Optimizer] = [torch.optim.Adam(shared, lr=rate, fused=True)]
    if of_tables:
        of_table = rate * settings.table_learning_rate_factor
        chosen = RowwiseAdagrad if kind == "rowwise_adagrad" else LazyAdam
        found.append(chosen(of_tables, lr=of_table))
    if image:  # last, so that the others equal those of the baseline
        factor = model.mode.learning_rate_factor
        found.append(torch.optim.Adam(image, lr=rate * factor, fused=True))
    return found


class _MiniBatchAwareL2:
    """The penalty `lambda / 2 sum_j |w_j|^2 / n_j` over the ids of the batch, except unknown, 0.

    Source: Zhou et al. 2018, arXiv:1706.06978, section 5.1.
    """

    def __init__(self, table: nn.Embedding, counts: np.ndarray, strength: float) -> None:
        self.table, self.strength = table, strength
        occurrences = torch.from_numpy(np.maximum(counts, 1).astype(np.float32))
        occurrences[0] = torch.inf
        self.factor = (strength / occurrences).to(table.weight.device)  # (V,)

    @torch.no_grad()
    def add_gradient(self, item_id: Tensor) -> None:
        """Add the gradient of the penalty; the (U,) ids are distinct, except the unknown one."""
        weight, gradient = self.table.weight, self.table.weight.grad
        if self.strength == 0 or gradient is None:
            return
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            item_id, weight.grad = gradient.indices()[0], gradient
        penalty = weight.index_select(0, item_id)
        penalty.mul_(self.factor.index_select(0, item_id)[:, None])
        if gradient.is_sparse:
            gradient.values().add_(penalty)
        else:
            gradient.index_add_(0, item_id, penalty)
