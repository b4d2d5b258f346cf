"""Training settings of all pre-training methods: `training:` of a pre-training file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ctrbench.schema import Frozen
from ctrbench.settings import Count, LearningRate, Number, Seed

LineLength = Annotated[Count, Field(le=1000)]
BatchSize = Annotated[Count, Field(ge=2, le=1 << 20)]  # a loss requires at least two samples
Width = Annotated[Count, Field(le=16_384, multiple_of=4)]  # a multiple of the 4 attention heads
LINES = (
    "shown",
    "history",
    "random_mask",
)  # settings of methods that train on lines


class PretrainSettings(Frozen):
    """Training settings; defaults follow COURIER, except where a single CPU is too slow."""

    model_config = ConfigDict(allow_inf_nan=False)

    epochs: Annotated[Count, Field(le=100_000)] = 10
    batch_size: BatchSize = 256  # lines or items over all processes; COURIER: 3,072 lines
    images_at_once: BatchSize = 512  # encoded at a time; does not change the gradient
    learning_rate: LearningRate = 1e-4
    weight_decay: Annotated[Number, Field(le=1e6)] = 1e-6
    width: Width = 256  # D of the vectors
    shown: LineLength = 5  # largest number of impressions of a line
    history: LineLength = 5  # largest number of previous clicks
    random_mask: bool = False  # the target is a random click of the line, not the last
    seed: Seed = 0
    precision: Literal["float32", "float16"] = "float32"  # float16: on a GPU, with loss scaling
    device: str = "cpu"  # any torch device
    checkpoint_s: Annotated[Number, Field(gt=0, le=1e9)] = 60.0  # seconds between checkpoints
