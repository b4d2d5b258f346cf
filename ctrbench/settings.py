"""Settings of the CTR model and its training: the `model:` and `training:` of a benchmark file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ctrbench.schema import Frozen

HiddenSizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
TableOptimizer = Literal["auto", "adam", "lazy_adam", "rowwise_adagrad"]
UserStatistic = Literal["history_length", "click_rate"]
Share = Annotated[float, Field(ge=0, lt=1)]


class ModelSettings(Frozen):
    """Sizes and choices of the CTR model; the same for the baseline and every injected sibling."""

    model_config = ConfigDict(allow_inf_nan=False)

    backbone: str = "din"  # or bst; a file below models/, or an installed package's
    history_length: PositiveInt = 50  # latest clicks as of the data set's snapshot
    embedding_size: PositiveInt = 16  # of the item id
    field_embedding_size: PositiveInt = 8  # of every categorical or list field
    fields: tuple[str, ...] | None = None  # those the model sees; null: all but text
    # As of the data set's snapshot: log(1 + length of the history), share of impressions clicked.
    user_statistics: tuple[UserStatistic, ...] = ("history_length", "click_rate")
    user_id: bool = False  # embed the user's own id as one more user field
    attention: HiddenSizes = (64, 32)  # of the attention unit
    top: HiddenSizes = (200, 80)  # of the last MLP
    # Of DIN. plain: unnormalised, as in the paper; uniform: no attention, histories are averaged.
    attention_weights: Literal["plain", "softmax", "uniform"] = "plain"
    transformer_width: Annotated[PositiveInt, Field(multiple_of=2)] = 32  # of bst's tokens
    activation: Literal["dice", "prelu"] = "dice"
    embedding_std: PositiveFloat = 0.01  # of the starting values of every embedding


class TrainingSettings(Frozen):
    """How a cell is trained; the same for the baseline and every injected sibling."""

    model_config = ConfigDict(allow_inf_nan=False)

    epochs: PositiveInt = 1  # more than one is a diagnostic: CTR models overfit from the second on
    batch_size: PositiveInt = 1024
    learning_rate: PositiveFloat = 1e-3
    # Of embedding tables above 1,000 rows; Adam trains the rest. auto: Adam up to 200,000 rows, for
    # its step grows with the table, lazy Adam above; results/tables/speed_scaling.md has the cost.
    table_optimizer: TableOptimizer = "auto"
    table_learning_rate_factor: PositiveFloat = 1.0  # of lazy Adam; of Adagrad: 10 is a good start
    warm_start: Share = 0.0  # of train, where the baseline learns alone before images come in
    mba_l2: NonNegativeFloat = 0.01  # mini-batch-aware L2 of the id embedding, DIN section 5.1
    id_dropout: Share = 0.02  # of ids replaced by unknown, so that its row is trained
    weight_averaging: Share = 0.0  # of the training's end, whose weights are averaged; 0: the last
    device: str = "cpu"  # any torch device; predictions of different devices differ in last digits
