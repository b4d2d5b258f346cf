"""Settings of the CTR model and its training: the `model:` and `training:` of a benchmark file."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ctrbench.schema import Frozen

# Numbers are meant as such: neither `true` nor a text is one. What nobody means to train lies above
# the limits here; whether a model fits the machine is said by `plan`.
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, ge=0)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]
Width = Annotated[Count, Field(le=4096)]  # of an embedding
HiddenSize = Annotated[Count, Field(le=16_384)]
HiddenSizes = Annotated[tuple[HiddenSize, ...], Field(min_length=1, max_length=16)]
Std = Annotated[Number, Field(gt=0, le=100)]  # of starting values
BatchSize = Annotated[Count, Field(le=1 << 20)]
LearningRate = Annotated[Number, Field(ge=1e-12, le=100)]
RateFactor = Annotated[Number, Field(gt=0, le=1e9)]
TableOptimizer = Literal["auto", "adam", "lazy_adam", "rowwise_adagrad"]
UserStatistic = Literal["history_length", "click_rate"]
SMALL_TABLE = 1000  # rows; all of them are moved at every step whatever the optimiser
LARGE_TABLE = 200_000  # rows, above which `auto` moves those of a batch alone
Share = Annotated[Number, Field(lt=1)]


class ModelSettings(Frozen):
    """Sizes and choices of the CTR model; the same for the baseline and every injected sibling."""

    model_config = ConfigDict(allow_inf_nan=False)

    backbone: str = "din"  # or bst; a file below models/, or an installed package's
    history_length: Annotated[Count, Field(le=100_000)] = (
        50  # latest clicks as of the data set's snapshot
    )
    embedding_size: Width = 16  # of the item id
    field_embedding_size: Width = 8  # of every categorical or list field
    fields: tuple[str, ...] | None = None  # those the model sees; null: all but text
    # As of the data set's snapshot: log(1 + length of the history), share of impressions clicked.
    user_statistics: tuple[UserStatistic, ...] = ("history_length", "click_rate")
    user_id: bool = False  # embed the user's own id as one more user field
    attention: HiddenSizes = (64, 32)  # of the attention unit
    top: HiddenSizes = (200, 80)  # of the last MLP
    # Of DIN. plain: unnormalised, as in the paper; uniform: no attention, histories are averaged.
    attention_weights: Literal["plain", "softmax", "uniform"] = "plain"
    transformer_width: Annotated[Width, Field(multiple_of=2)] = 32  # of bst's tokens
    activation: Literal["dice", "prelu"] = "dice"
    embedding_std: Std = 0.01  # of the starting values of every embedding


class TrainingSettings(Frozen):
    """How a cell is trained; the same for the baseline and every injected sibling."""

    model_config = ConfigDict(allow_inf_nan=False)

    epochs: Annotated[Count, Field(le=1000)] = (
        1  # more than one is a diagnostic: CTR models overfit from the second on
    )
    batch_size: BatchSize = 1024
    learning_rate: LearningRate = 1e-3
    # Of embedding tables above 1,000 rows; Adam trains the rest. auto: Adam up to 200,000 rows, for
    # its step grows with the table, lazy Adam above; results/tables/speed_scaling.md has the cost.
    table_optimizer: TableOptimizer = "auto"
    table_learning_rate_factor: RateFactor = 1.0  # of lazy Adam; of Adagrad: 10 is a good start
    warm_start: Share = 0.0  # of train, where the baseline learns alone before images come in
    mba_l2: Annotated[Number, Field(le=1e6)] = (
        0.01  # mini-batch-aware L2 of the id embedding, DIN section 5.1
    )
    id_dropout: Share = 0.02  # of ids replaced by unknown, so that its row is trained
    weight_averaging: Share = 0.0  # of the training's end, whose weights are averaged; 0: the last
    device: str = "cpu"  # any torch device; predictions of different devices differ in last digits

    @property
    def dense_rows(self) -> float:
        """Rows up to which all of a table are moved at every step."""
        return {"adam": math.inf, "auto": LARGE_TABLE}.get(self.table_optimizer, SMALL_TABLE)
