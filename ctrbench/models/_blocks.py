"""Layers of the CTR models: bias-free input blocks, Dice, sums over histories.

Shapes: B impressions, U distinct items, M history items, E item width, H hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ctrbench.batches.packing import Bag, Batch, Codes
from ctrbench.distributed import batch_norm
from ctrbench.loops import usable
from ctrbench.loops.functions import take
from ctrbench.models._fused import DICE_EPS, DiceLayers, PairSum, WeightedSum
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import ModelSettings


def linear(width_in: int, width_out: int, seed: int, name: str, bias: bool = False) -> nn.Linear:
    """Return a linear layer with weights from a named random stream and zero bias.

    The variance of the weights is 2 / (fan-in + fan-out), as in the code of the DIN authors. The
    default of torch is about a quarter of it in most of these layers, and the model learns less in
    one epoch.

    Args:
        width_in: The number of inputs.
        width_out: The number of outputs.
        seed: The seed of the cell.
        name: The name of the random stream.
        bias: Whether the layer has a bias.

    Source: Glorot and Bengio 2010 (AISTATS).
    """
    with scoped_torch_seed(seed, "model", name):
        layer = nn.Linear(width_in, width_out, bias=bias)
        nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def embedding(rows: int, width: int, std: float, seed: int, name: str) -> nn.Embedding:
    """Return an embedding table with values from a named random stream.

    Args:
        rows: The number of rows.
        width: The width of the embedding.
        std: The standard deviation of the values.
        seed: The seed of the cell.
        name: The name of the random stream.
    """
    with scoped_torch_seed(seed, "model", name):
        return nn.Embedding.from_pretrained(torch.randn(rows, width) * std, freeze=False)


def looked_up(table: nn.Module, codes: Tensor) -> Tensor:
    """Return the embedding of each code, (n, E); dense gradients are those of `take`.

    Args:
        table: The embedding table.
        codes: (n,) int64.
    """
    assert isinstance(table, nn.Embedding)
    return table(codes) if table.sparse else take(table.weight, codes)


def sum_rows(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Return the sum of the values of each row, (rows, E).

    Args:
        values: (M, E) float32.
        row: (M,) int64, the row that each value belongs to.
        rows: The number of rows.
    """
    return values.new_zeros(rows, values.shape[1]).index_add(0, row, values)


def embed(table: nn.Module, codes: Codes, rows: int) -> Tensor:
    """Return the embedding of the code of each row, or the mean over its list, (rows, E).

    Args:
        table: The embedding table.
        codes: One code or one list of codes per row; the mean of an empty list is zero.
        rows: The number of rows.
    """
    if not isinstance(codes, Bag):
        return looked_up(table, codes)
    total = sum_rows(looked_up(table, codes.codes), codes.row, rows)
    count = sum_rows(torch.ones_like(codes.row[:, None], dtype=total.dtype), codes.row, rows)
    return total / count.clamp(min=1)


class Numbers(nn.Module):
    """Embeds numeric fields: the value times a learned vector of its field, concatenated.

    Raw values have variance 1, while embeddings start at 0.01. As direct inputs, they would
    dominate the ids early in training, and an uninformative field would lower AUC.
    """

    def __init__(self, fields: int, width: int, std: float, seed: int, name: str) -> None:
        """Draw the vectors.

        Args:
            fields: The number of fields.
            width: The width of each vector.
            std: The standard deviation of the values.
            seed: The seed of the cell.
            name: The name of the random stream.
        """
        super().__init__()
        with scoped_torch_seed(seed, "model", f"numbers.{name}"):
            self.weight = nn.Parameter(torch.randn(fields, width) * std)

    def forward(self, values: Tensor) -> Tensor:
        """Map (n, fields) to (n, fields * width)."""
        return (values[:, :, None] * self.weight).flatten(1)


class PairBlock(nn.Module):
    """Computes `[q, k, q-k, q*k] W` for every history item without building the wide input.

    W has four parts. `q (Wq + Wd)` is computed once per impression, `k (Wk - Wd)` once per distinct
    item, and only `(q*k) Wp` per history item. The sum is equal and requires less arithmetic.
    """

    def __init__(self, width: int, hidden: int, seed: int, name: str) -> None:
        """Draw the weights.

        Args:
            width: E.
            hidden: H.
            seed: The seed of the cell.
            name: The name of the random stream.
        """
        super().__init__()
        self.width = width
        self.weight = linear(4 * width, hidden, seed, name).weight  # (H, 4E)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the factors of q, k and q*k, (E, H) each."""
        of_q, of_k, of_difference, of_product = self.weight.t().split(self.width)
        return of_q + of_difference, of_k - of_difference, of_product

    def forward(self, items: Tensor, batch: Batch) -> Tensor:
        """Map (U, E) items to (M, H).

        Args:
            items: (U, E) float32, the distinct items of the batch.
            batch: The batch.
        """
        of_q, of_k, of_product = self.parts()
        query = take(items, batch.target)  # (B, E)
        per_row, per_item = query @ of_q, items @ of_k  # (B, H), (U, H)
        product = take(query, batch.history_row) * take(items, batch.history)  # (M, E)
        return torch.addmm(
            take(per_row, batch.history_row) + take(per_item, batch.history), product, of_product
        )


def pair_sum(
    pairs: Sequence[tuple[PairBlock, Tensor]],
    batch: Batch,
    bias: Tensor,
    slot: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the sum of several pair blocks, of a bias and of a product per slot, (M, H).

    Args:
        pairs: Blocks, each with its own (U, E) items.
        batch: The batch.
        bias: (H,) float32.
        slot: (M, S) float32 per history item, and their (S, H) factor.
    """
    _, first = pairs[0]
    if not usable(first) or not len(batch.history):
        total = torch.stack([block(items, batch) for block, items in pairs]).sum(dim=0) + bias
        return total if slot is None else torch.addmm(total, *slot)
    items = torch.cat([items for _, items in pairs], dim=1).contiguous()
    parts = zip(*(block.parts() for block, _ in pairs), strict=True)
    of_q, of_k, of_product = (torch.cat(part) for part in parts)
    if slot is None:
        slot = items.new_empty(len(batch.history), 0), items.new_empty(0, len(bias))
    places = batch.history_row, batch.history, batch.target
    return PairSum.apply(*places, items, bias, of_q, of_k, of_product, *slot)


def weighted_sum(values: Tensor, weights: Tensor, batch: Batch) -> Tensor:
    """Return the weighted sum over the history of each impression, (B, E).

    Args:
        values: (U, E) float32, per distinct item.
        weights: (M,) float32, per history item.
        batch: The batch.
    """
    rows = batch.target.shape[0]
    if usable(values) and len(weights):
        both = values.contiguous(), weights.contiguous()
        return WeightedSum.apply(batch.history_row, batch.history, *both, rows)
    return sum_rows(weights[:, None] * take(values, batch.history), batch.history_row, rows)


class Dice(nn.Module):
    """`p s + (1 - p) alpha s` with p the sigmoid of the batch-normalised s.

    Source: Zhou et al. 2018, arXiv:1706.06978, section 5.3, equation 9.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (n, H) to (n, H); uses moving statistics in evaluation and for a single row."""
        normal = batch_norm(hidden, self.mean, self.variance, DICE_EPS, self.training)
        p = torch.sigmoid(normal)
        rest = torch.ones_like(self.alpha) - self.alpha  # torch 2.11 cannot export `1 - alpha`
        return hidden * (self.alpha + rest * p)


def activation(kind: str, width: int) -> nn.Module:
    """Return the activation, Dice or PReLU.

    Args:
        kind: `dice` or `prelu`.
        width: The number of channels.
    """
    return Dice(width) if kind == "dice" else nn.PReLU(width)


class HiddenLayers(nn.Module):
    """The layers after the sum of the first one: activation, hidden layers, one output.

    Its bias is held here, and the caller adds it to the sum.
    """

    def __init__(
        self, sizes: tuple[int, ...], settings: ModelSettings, seed: int, name: str
    ) -> None:
        """Create the layers.

        Args:
            sizes: The width of each hidden layer; the first is that of the summed blocks.
            settings: The model settings.
            seed: The seed of the cell.
            name: The prefix of the random streams.
        """
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(sizes[0]))
        self.first = activation(settings.activation, sizes[0])
        self.rest = nn.Sequential()
        for level, (width_in, width_out) in enumerate(pairwise(sizes), start=2):
            self.rest.append(linear(width_in, width_out, seed, f"{name}.{level}", bias=True))
            self.rest.append(activation(settings.activation, width_out))
        self.rest.append(linear(sizes[-1], 1, seed, f"{name}.out", bias=True))

    def forward(self, summed: Tensor) -> Tensor:
        """Map the summed blocks and the bias of the first layer, (n, H), to (n,)."""
        layers = [self.first, *self.rest]
        dices = [layer for layer in layers[::2] if isinstance(layer, Dice)]
        if not dices or not usable(summed):
            return self.rest(self.first(summed)).squeeze(1)
        parameters = [
            parameter
            for dice, linear in zip(dices, layers[1::2], strict=True)
            for parameter in (dice.alpha, linear.weight, linear.bias)
        ]
        return DiceLayers.apply(dices, summed, *parameters).squeeze(1)
