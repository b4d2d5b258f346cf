"""Settings of the CTR model and its training: `model:` and `training:` of a benchmark file."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ctrbench.schema import Frozen

# Numbers are strict: neither `true` nor a text is one. The upper limits exclude only mistakes;
# `ctrbench plan` checks whether a model fits into memory.
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, ge=0)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
Width = Annotated[Count, Field(le=4096)]  # of an embedding
HiddenSize = Annotated[Count, Field(le=16_384)]
HiddenSizes = Annotated[tuple[HiddenSize, ...], Field(min_length=1, max_length=16)]
Std = Annotated[Number, Field(gt=0, le=100)]  # of initial values
BatchSize = Annotated[Count, Field(le=1 << 20)]
LearningRate = Annotated[Number, Field(ge=1e-12, le=100)]
RateFactor = Annotated[Number, Field(gt=0, le=1e9)]
TableOptimizer = Literal["auto", "adam", "lazy_adam", "rowwise_adagrad"]
UserStatistic = Literal["history_length", "click_rate"]
SMALL_TABLE = 1000  # rows; up to this size every step updates all rows, with any optimiser
LARGE_TABLE = 200_000  # rows; above this size `auto` updates only the rows of a batch
Share = Annotated[Number, Field(lt=1)]


class ModelSettings(Frozen):
    """The CTR model, which is the same for the baseline and every arm with images."""

    model_config = ConfigDict(allow_inf_nan=False)

    backbone: str = "din"  # din or bst: a file below models/, or an installed package's
    # latest clicks before the data set's snapshot
    history_length: Annotated[Count, Field(le=100_000)] = 50
    embedding_size: Width = 16  # of the item id
    field_embedding_size: Width = 8  # of every categorical or list field
    fields: tuple[str, ...] | None = None  # inputs of the model; null: all except text
    # as of the data set's snapshot: log(1 + history length), clicks / impressions
    user_statistics: tuple[UserStatistic, ...] = ("history_length", "click_rate")
    user_id: bool = False  # embed the user's id as an additional user field
    attention: HiddenSizes = (64, 32)  # hidden layers of the attention unit
    top: HiddenSizes = (200, 80)  # hidden layers of the last MLP
    # of DIN. plain: not normalised, as in the paper; uniform: the mean of the history
    attention_weights: Literal["plain", "softmax", "uniform"] = "plain"
    transformer_width: Annotated[Width, Field(multiple_of=2)] = 32  # of BST's tokens
    activation: Literal["dice", "prelu"] = "dice"
    embedding_std: Std = 0.01  # of the initial values of every embedding


class TrainingSettings(Frozen):
    """The training, which is the same for the baseline and every arm with images."""

    model_config = ConfigDict(allow_inf_nan=False)

    # more than one is a diagnostic: CTR models overfit from the second epoch on
    epochs: Annotated[Count, Field(le=1000)] = 1
    batch_size: BatchSize = 1024
    learning_rate: LearningRate = 1e-3
    # of embedding tables above 1,000 rows; Adam trains all other parameters. auto: Adam up to
    # 200,000 rows, lazy Adam above, because Adam's step time grows with the table; see
    # results/tables/speed_scaling.md
    table_optimizer: TableOptimizer = "auto"
    table_learning_rate_factor: RateFactor = 1.0  # for lazy Adam and Adagrad; try 10 for Adagrad
    warm_start: Share = 0.0  # share of `train` on which the baseline is trained before images
    # mini-batch-aware L2 of the id embedding, DIN section 5.1
    mba_l2: Annotated[Number, Field(le=1e6)] = 0.01
    id_dropout: Share = 0.02  # share of ids replaced by unknown, which trains the unknown row
    weight_averaging: Share = 0.0  # last share of the training whose weights are averaged; 0: none
    # bfloat16: products in half precision (autocast); weights, sums and predictions in float32
    precision: Literal["float32", "bfloat16"] = "float32"
    device: str = "cpu"  # any torch device; predictions differ in the last digits between devices

    @property
    def dense_rows(self) -> float:
        """The largest number of rows of a table of which every step updates all rows."""
        return {"adam": math.inf, "auto": LARGE_TABLE}.get(self.table_optimizer, SMALL_TABLE)
