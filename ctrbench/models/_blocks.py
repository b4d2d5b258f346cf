"""Parts of the DIN: bias-free input blocks with their own draws, Dice, sums over histories.

Shapes: B impressions, U distinct items, M history items, E item width, H hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrbench.impressions.packing import Bag, Batch, Codes
from ctrbench.models._fused import DICE_EPS, DiceLayers, PairSum, WeightedSum
from ctrbench.models._loading import usable
from ctrbench.seeding import scoped_torch_seed
from ctrbench.settings import ModelSettings


def linear(width_in: int, width_out: int, seed: int, name: str, bias: bool = False) -> nn.Linear:
    """A linear layer drawn from the stream `name`; a bias starts at zero.

    Variance 2 / (fan-in + fan-out), as in the DIN authors' code and its peers (Glorot and Bengio
    2010); torch's own variance is a fourth of it in most layers here, and one epoch learns less.
    """
    with scoped_torch_seed(seed, "model", name):
        layer = nn.Linear(width_in, width_out, bias=bias)
        nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def embedding(rows: int, width: int, std: float, seed: int, name: str) -> nn.Embedding:
    """An embedding table drawn from the stream `name`."""
    with scoped_torch_seed(seed, "model", name):
        return nn.Embedding.from_pretrained(torch.randn(rows, width) * std, freeze=False)


def take(values: Tensor, index: Tensor) -> Tensor:
    """values[index] along the rows; index_select's gradient is several times faster on a CPU."""
    return values.index_select(0, index)


def sum_rows(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Sum of the values that belong to each row: (M, E), (M,) -> (rows, E)."""
    return values.new_zeros(rows, values.shape[1]).index_add(0, row, values)


def embed(table: nn.Module, codes: Codes, rows: int) -> Tensor:
    """The embedding of one code a row, or the mean over a row's list (zero if empty): (rows, E)."""
    if not isinstance(codes, Bag):
        return table(codes)
    total = sum_rows(table(codes.codes), codes.row, rows)
    count = sum_rows(torch.ones_like(codes.row[:, None], dtype=total.dtype), codes.row, rows)
    return total / count.clamp(min=1)


class Numbers(nn.Module):
    """Embedded numeric fields: each value times a learned vector of its field, side by side.

    As in the field's other libraries. Numbers have variance 1 where embeddings start at 0.01: given
    as they are, they drown the ids while these are learned, and cost AUC when they say little.
    """

    def __init__(self, fields: int, width: int, std: float, seed: int, name: str) -> None:
        super().__init__()
        with scoped_torch_seed(seed, "model", f"numbers.{name}"):
            self.weight = nn.Parameter(torch.randn(fields, width) * std)

    def forward(self, values: Tensor) -> Tensor:
        """(n, fields) -> (n, fields * width)."""
        return (values[:, :, None] * self.weight).flatten(1)


class PairBlock(nn.Module):
    """`[q, k, q-k, q*k] W` for every history item, without building the wide input.

    With W split into the four parts, `q (Wq + Wd)` is needed once per impression, `k (Wk - Wd)`
    once per distinct item, and only `(q*k) Wp` per history item: the same sum, less arithmetic.
    """

    def __init__(self, width: int, hidden: int, seed: int, name: str) -> None:
        super().__init__()
        self.width = width
        self.weight = linear(4 * width, hidden, seed, name).weight  # (H, 4E)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """What q, k and q*k are multiplied with, (E, H) each."""
        of_q, of_k, of_difference, of_product = self.weight.t().split(self.width)
        return of_q + of_difference, of_k - of_difference, of_product

    def forward(self, items: Tensor, batch: Batch) -> Tensor:
        """(U, E) -> (M, H)."""
        of_q, of_k, of_product = self.parts()
        query = take(items, batch.target)  # (B, E)
        per_row, per_item = query @ of_q, items @ of_k  # (B, H), (U, H)
        product = take(query, batch.history_row) * take(items, batch.history)  # (M, E)
        return torch.addmm(
            take(per_row, batch.history_row) + take(per_item, batch.history), product, of_product
        )


def pair_sum(pairs: Sequence[tuple[PairBlock, Tensor]], batch: Batch) -> Tensor:
    """Sum of several blocks, each on (U, E) items of its own: (M, H)."""
    _, first = pairs[0]
    if not usable(first) or not len(batch.history):
        return torch.stack([block(items, batch) for block, items in pairs]).sum(dim=0)
    items = torch.cat([items for _, items in pairs], dim=1).contiguous()
    parts = zip(*(block.parts() for block, _ in pairs), strict=True)
    of_q, of_k, of_product = (torch.cat(part) for part in parts)
    query = take(items, batch.target)
    places = batch.history_row, batch.history
    return PairSum.apply(*places, query, items, query @ of_q, items @ of_k, of_product)


def weighted_sum(values: Tensor, weights: Tensor, batch: Batch) -> Tensor:
    """Each impression's history, (U, E) values weighted by (M,) and summed: (B, E)."""
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
        """(n, H) -> (n, H); moving statistics outside training, or where a batch has one row."""
        by_batch = self.training and hidden.shape[0] > 1
        p = torch.sigmoid(
            F.batch_norm(hidden, self.mean, self.variance, training=by_batch, eps=DICE_EPS)
        )
        return hidden * (self.alpha + (1 - self.alpha) * p)


def activation(kind: str, width: int) -> nn.Module:
    """Dice or PReLU over `width` channels."""
    return Dice(width) if kind == "dice" else nn.PReLU(width)


class HiddenLayers(nn.Module):
    """What follows a first layer's sum: its bias and activation, further layers, one output."""

    def __init__(
        self, sizes: tuple[int, ...], settings: ModelSettings, seed: int, name: str
    ) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(sizes[0]))
        self.first = activation(settings.activation, sizes[0])
        self.rest = nn.Sequential()
        for level, (width_in, width_out) in enumerate(pairwise(sizes), start=2):
            self.rest.append(linear(width_in, width_out, seed, f"{name}.{level}", bias=True))
            self.rest.append(activation(settings.activation, width_out))
        self.rest.append(linear(sizes[-1], 1, seed, f"{name}.out", bias=True))

    def forward(self, summed: Tensor) -> Tensor:
        """(n, H) sum of the first layer's blocks -> (n,)."""
        layers = [self.first, *self.rest]
        dices = [layer for layer in layers[::2] if isinstance(layer, Dice)]
        if not dices or not usable(summed):
            return self.rest(self.first(summed + self.bias)).squeeze(1)
        parameters = [
            parameter
            for dice, linear in zip(dices, layers[1::2], strict=True)
            for parameter in (dice.alpha, linear.weight, linear.bias)
        ]
        return DiceLayers.apply(dices, summed + self.bias, *parameters).squeeze(1)
