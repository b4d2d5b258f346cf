"""Codes as ID features: embeddings of one or several codes an item, shared by the code modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor, nn

Combine = Literal["concat", "sum"]
CodebookSize = Annotated[
    int, Field(strict=True, ge=2, le=1 << 24)
]  # K; one code for all items says nothing

# How widely codes start. From a wider start they wake up earlier, which helps where an epoch has
# few steps, but one that stands for many items drowns the IDs while these are learned; several
# codes of an item, each of which says less, lose less by it. benchmarks/defaults/ has the trials.
CODE_STD = 0.01  # one code an item: as IDs do
CODES_STD = 0.1  # several


def too_few_items(codebook_size: int, items: int) -> list[str]:
    """More centres than items to fit them on, as a mode's `problems` says it."""
    if codebook_size <= items:
        return []
    if items < 2:
        return [
            "the vectors of the earliest period, on which a codebook is fitted, are all alike: "
            "leave the version or the mode out"
        ]
    return [
        f"codebook_size {codebook_size} exceeds the {items} distinct vectors of the earliest "
        f"period, on which it is fitted; choose at most {items}"
    ]


def numbered(code: np.ndarray, has_vector: np.ndarray, codebook_size: int) -> np.ndarray:
    """Codes of each level as rows of one table: (V, L) int64; 0 is a missing image, at every level.

    Args:
        code: (n, L) of the items that have a vector, from 0.
        has_vector: (V,) bool.
        codebook_size: K, rows of a level.
    """
    rows = np.zeros((len(has_vector), code.shape[1]), np.int64)
    rows[has_vector] = 1 + code + codebook_size * np.arange(code.shape[1])
    return rows


def table_numbers(levels: int, codebook_size: int, width: int) -> int:
    """How many numbers a code table holds."""
    return (1 + levels * codebook_size) * width


def code_table(levels: int, codebook_size: int, width: int, std: float) -> nn.Embedding:
    """The embedding that `numbered` points into."""
    from torch import nn

    table = nn.Embedding(1 + levels * codebook_size, width)
    nn.init.normal_(table.weight, std=std)
    return table


def embedded(table: nn.Module, rows: Tensor, combine: Combine) -> Tensor:
    """(U, L) rows -> (U, width), or (U, L * width) if concatenated."""
    vectors = table(rows)
    return vectors.sum(dim=1) if combine == "sum" else vectors.flatten(1)
