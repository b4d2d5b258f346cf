"""The CTR training loop, shared by the baseline and every mode.

If torchrun started several processes, each computes its part of every batch. They all hold the same
weights, since they add up their gradients before each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ctrbench.arrays import blocks
from ctrbench.batches.loading import loaded
from ctrbench.batches.order import sequential_batches, shuffled_batches
from ctrbench.batches.packing import Batch, Packer
from ctrbench.distributed import Processes
from ctrbench.errors import ContractError, DivergedError
from ctrbench.metrics import auc
from ctrbench.models._base import Backbone
from ctrbench.optimizers import Adam, LazyAdam, Optimizer, RowwiseAdagrad
from ctrbench.schema import CurvePoint
from ctrbench.scratch import IN_MEMORY, Scratch
from ctrbench.seeding import stream
from ctrbench.settings import SMALL_TABLE, TrainingSettings

PREDICT_ROWS = 1024  # impressions per batch outside training
COPIED_ROWS = 1 << 18  # predictions held on the device
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
    across: Processes = field(default_factory=Processes)

    def add(self, loss: Tensor, logit: Tensor, batch: Batch) -> None:
        self.loss.append(loss)
        self.logit.append(logit)
        self.click.append(batch.click)

    def close(self, impressions: int) -> None:
        own = torch.tensor([len(logit) for logit in self.logit], dtype=torch.float64)
        sizes = self.across.sum(own).numpy()
        loss = float(np.average(torch.stack(self.loss).cpu().numpy(), weights=sizes))
        if not math.isfinite(loss):  # checked here, because every check waits for the device
            raise DivergedError(
                f"the loss became {loss} within {impressions} impressions; lower "
                "training.learning_rate, its table_learning_rate_factor or the mode's "
                "learning_rate_factor."
            )
        click = self.across.gather(torch.cat(self.click)).cpu().numpy() > 0
        logit = self.across.gather(torch.cat(self.logit)).cpu()
        both = 0 < click.sum() < len(click)
        ranked = auc(click, logit.sigmoid().numpy()) if both else None
        self.points.append(CurvePoint(impressions=impressions, loss=loss, auc=ranked))
        for collected in (self.loss, self.logit, self.click):
            collected.clear()


def fit(
    model: Backbone,
    packer: Packer,
    settings: TrainingSettings,
    seed: int,
    progress: ShareProgress,
    chosen: list[Optimizer] | None = None,
    warming: bool = False,
    observer: Observer | None = None,
) -> tuple[CurvePoint, ...]:
    """Train a model in place on the `train` period for exactly `epochs` epochs.

    With `warm_start`, the first part of the period is skipped, since the baseline was trained on
    it. With `weight_averaging`, the final weights are the mean of the weights at the last points of
    the curve, a twentieth of an epoch apart (Izmailov et al. 2018, arXiv:1803.05407).

    Several processes train as one does on the same batches, up to rounding: batches, random ids and
    the statistics of Dice are those of the joint batch.

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
        DivergedError: The loss became infinite or NaN; raised in all processes.
        ContractError: The mode or backbone makes the weights of the processes differ.
        LostProcessError: Another process ended.
    """
    device, across = model.id_embedding.weight.device, Processes()
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
    tables = _communicated_by_rows(model, across)
    by_rows = [table.weight for table in tables]

    def own(batch_rows: np.ndarray) -> slice | None:
        return across.part(len(batch_rows)) if across.count > 1 else None

    half = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
    model.train()
    for epoch in range(epochs):
        dropout = settings.id_dropout, stream(seed, "id_dropout", *part, epoch)
        order = shuffled_batches(rows, settings.batch_size, seed, epoch)
        for batch in loaded((packer.pack(one, dropout, own(one)) for one in order), device):
            size = min(settings.batch_size, (epoch + 1) * (rows.stop - rows.start) - seen)
            with half:
                logit = model(batch)
            logit = logit.float()
            own_loss = _loss(logit, batch, None if across.count == 1 else size)
            loss = across.sum(own_loss.detach())
            for parameter in parameters:
                parameter.grad = None
            own_loss.backward()
            if across.count > 1:
                across.add_up_gradients(parameters)
            penalty.add_gradient(batch.item_id)
            for weight in by_rows:
                assert weight.grad is not None
                weight.grad = weight.grad.to_dense()
            for optimizer in chosen:
                optimizer.step()
            curve.add(loss, logit.detach(), batch)
            seen += size
            if seen >= step * (len(curve.points) + 1) or seen == total:
                curve.close(seen)
                if observer is not None:
                    observer(curve.points[-1])
                if seen > (1 - settings.weight_averaging) * total:
                    averaged = averaged or AveragedModel(model, use_buffers=True)
                    averaged.update_parameters(model)
                progress(seen / total)
    for table in tables:
        table.sparse = False
    if averaged is not None:
        model.load_state_dict(averaged.module.state_dict())
    _require_equal_weights(model, across)
    return tuple(curve.points)


def _loss(logit: Tensor, batch: Batch, joint_rows: int | None) -> Tensor:
    """Return the mean loss of a batch, or the share that its part has in the mean of all rows.

    Args:
        logit: (B,) float32.
        batch: The batch, or a part of one.
        joint_rows: The number of rows of all parts; None: the batch is whole.
    """
    reduction = "mean" if joint_rows is None else "sum"
    loss = F.binary_cross_entropy_with_logits(logit, batch.click, batch.weight, reduction=reduction)
    return loss / (joint_rows or 1)


def _communicated_by_rows(model: Backbone, across: Processes) -> list[nn.Embedding]:
    """Return tables that Adam trains; their gradients are sparse until they are added up.

    These are the large tables, and that of the item ids, because its penalty requires the ids of
    the joint batch.
    """
    tables = [
        table
        for table in model.tables()
        if across.count > 1
        and not table.sparse
        and (table is model.id_embedding or table.num_embeddings > SMALL_TABLE)
    ]
    for table in tables:
        table.sparse = True
    return tables


def _require_equal_weights(model: Backbone, across: Processes) -> None:
    """Check that all processes have the same weights.

    Raises:
        ContractError: They differ; raised in all processes.
    """
    differing = across.differing(model.state_dict())
    if differing:
        raise ContractError(
            f"the processes have different weights after the training: {', '.join(differing)}. "
            "Layers that compute statistics of a batch must use ctrbench.distributed.batch_norm; "
            "or train the cell in one process."
        )


@torch.no_grad()
def predict(
    model: Backbone,
    packer: Packer,
    period: str,
    progress: ShareProgress,
    across: Processes | None = None,
    scratch: Scratch = IN_MEMORY,
) -> np.ndarray:
    """Return the predicted click probabilities of a period in stored order, (n,) float32.

    Args:
        model: The trained model.
        packer: Creates the batches of the data set.
        period: The name of the period.
        progress: Receives the finished share of impressions.
        across: The processes that predict a part each; None: this one predicts all.
        scratch: Provides the array, unless there are several processes.

    Raises:
        DivergedError: A prediction is not finite; raised in all processes.
    """
    device = model.id_embedding.weight.device
    rows = packer.slots.impressions.rows(period)
    if across is not None:
        own = across.part(-(-(rows.stop - rows.start) // PREDICT_ROWS))  # of the batches
        edges = (rows.start + PREDICT_ROWS * edge for edge in (own.start, own.stop))
        rows = slice(*(min(edge, rows.stop) for edge in edges))
    predicted = scratch.empty(rows.stop - rows.start, np.float32)
    model.eval()
    order, seen, copied = sequential_batches(rows, PREDICT_ROWS), 0, 0
    found: list[Tensor] = []  # (B,) each; copied together: a copy waits for the device
    for batch in loaded((packer.pack(part, None) for part in order), device):
        found.append(torch.sigmoid(model(batch)))
        seen += len(batch.click)
        if seen - copied >= COPIED_ROWS or seen == len(predicted):
            predicted[copied:seen] = torch.cat(found).cpu().numpy()
            copied, found = seen, []
        progress(seen / len(predicted))
    p_click = predicted
    if across is not None:
        p_click = across.gather(torch.from_numpy(predicted)).numpy()
    unfit = sum(int((~np.isfinite(p_click[part])).sum()) for part in blocks(len(p_click)))
    if unfit:
        raise DivergedError(f"{unfit} predictions are not finite.")
    return p_click


def optimizers(model: Backbone, settings: TrainingSettings) -> list[Optimizer]:
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
    found = [_adam(shared, rate)]
    if of_tables:
        of_table = rate * settings.table_learning_rate_factor
        chosen = RowwiseAdagrad if kind == "rowwise_adagrad" else LazyAdam
        found.append(chosen(of_tables, lr=of_table))
    if image:  # last, so that the others equal those of the baseline
        factor = model.mode.learning_rate_factor
        found.append(_adam(image, rate * factor))
    return found


def _adam(parameters: list[nn.Parameter], rate: float) -> Optimizer:
    if all(parameter.is_cpu for parameter in parameters):
        return Adam(parameters, lr=rate)
    return torch.optim.Adam(parameters, lr=rate, fused=True)  # pyright: ignore[reportReturnType]


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
