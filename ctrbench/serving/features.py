"""The inputs of an exported model: names, types, defaults, and how they become a batch.

A request has B impressions, whose histories have at most T slots, and U items: the targets and the
clicked items. Each item is described once; `target` and `history` refer to items by their place.
Items may be repeated, so U = B + B T works as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctrbench.batches.packing import FieldInputs, Packer
from ctrbench.injection import Injection, PairMode, Prepared
from ctrbench.schema import Frozen, Ragged

if TYPE_CHECKING:
    from torch import Tensor

    from ctrbench.batches.packing import Batch

PADDING = -1  # in `history` and in lists of codes
TARGET, HISTORY, ITEM = "target", "history", "item_id"
STATE = "state."  # prefix of user statistics; item., user. and context. are those of fields
IMAGE, UNIT, HAS = "image.", "unit.", "has_vector."  # prefixes of the inputs of a mode
CENTERED = ".centered"
LOG_LENGTH, CLICK_RATE = "log_history_length", "click_rate"  # as in `ctrbench datasets export`
OF_STATISTIC = {"history_length": LOG_LENGTH, "click_rate": CLICK_RATE}

Kind = Literal["place", "id", "code", "list", "number", "image"]
DTYPES: dict[Kind, Literal["int64", "float64", "float32"]] = {
    **dict.fromkeys(("place", "id", "code", "list"), "int64"),
    "number": "float64",
    "image": "float32",
}


class Feature(Frozen):
    """One input of an exported model."""

    name: str
    of: Literal["item", "impression"]  # the first axis: the U items or the B impressions
    kind: Kind
    dtype: Literal["int64", "float64", "float32"]
    shape: tuple[str | int, ...]  # B, T, U and W (the longest list) are dynamic
    missing: float | int | tuple[float, ...] | None = None  # null: NaN
    unknown: float | int | None = None  # of a value that the training period lacks
    mean: float | None = None  # of numbers, by which the model standardises them
    deviation: float | None = None  # above 0
    indicator: bool = False  # whether the model also reads that the number is missing
    description: str = ""


class Comparison(Frozen):
    """Vectors whose cosines a part of the mode reads."""

    part: str  # name of the part of a combination; empty for a single mode
    field: str  # vector field of the version
    centered: bool  # whether the mean vector is subtracted before normalising

    @property
    def key(self) -> str:
        """The name of the vectors; parts that compare the same vectors share it."""
        return self.field + (CENTERED if self.centered else "")


class Features(Frozen):
    """The inputs of an exported model, in order."""

    inputs: tuple[Feature, ...]
    comparisons: tuple[Comparison, ...] = ()
    history_length: int  # T of the training; the model reads the latest T of a longer history

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(one.name for one in self.inputs)

    def of(self, owner: str, *kinds: Kind) -> list[Feature]:
        """Return the inputs of a first axis and of some kinds.

        Args:
            owner: `item` or `impression`.
            kinds: The kinds.
        """
        return [one for one in self.inputs if one.of == owner and one.kind in kinds]


@dataclass(frozen=True)
class Vectors:
    """The unit vectors that a server must hold, because the mode compares pairs of items."""

    unit: np.ndarray  # (V, D) float32
    has_vector: np.ndarray  # (V,) bool


def features_of(
    packer: Packer,
    prepared: Prepared,
    comparisons: tuple[Comparison, ...],
    vectors: Mapping[str, Vectors],
) -> Features:
    """Return the inputs of a model.

    Args:
        packer: Creates the batches of the data set.
        prepared: The arrays that the mode prepared.
        comparisons: What the parts of the mode compare.
        vectors: The compared vectors by `Comparison.key`.
    """
    item, user, context = packer.inputs.item, packer.inputs.user, packer.inputs.context
    inputs = [
        _feature(TARGET, "impression", "place", ("B",), description="place of the item shown"),
        _feature(
            HISTORY,
            "impression",
            "place",
            ("B", "T"),
            missing=PADDING,
            description="places of the clicked items, oldest first; -1 is padding, at either end",
        ),
        _feature(
            ITEM,
            "item",
            "id",
            ("U",),
            missing=0,
            unknown=0,
            description="row of the ID embedding; column item_id of items.parquet",
        ),
        *_of_fields("item.", item),
        *_statistics(packer),
        *_of_fields("user.", user),
        *_of_fields("context.", context),
    ]
    for key, values in prepared.item.items():
        codes = values.dtype.kind in "iu"
        inputs.append(
            Feature(
                name=f"{IMAGE}{key}",
                of="item",
                kind="image",
                dtype="int64" if codes else "float32",
                shape=("U", *values.shape[1:]),
                missing=_default(values[0]),
                description="prepared by the mode from the vector of the item",
            )
        )
    for key, one in vectors.items():
        width = one.unit.shape[1]
        text = "unit vector of the item, from which the model computes cosines"
        inputs.append(_feature(UNIT + key, "item", "image", ("U", width), 0.0, description=text))
        text = "1 if the item has a vector, else 0"
        inputs.append(_feature(HAS + key, "item", "image", ("U",), 0.0, description=text))
    return Features(
        inputs=tuple(inputs),
        comparisons=comparisons,
        history_length=packer.slots.history_length,
    )


def comparisons_of(mode: Injection, first: str) -> tuple[Comparison, ...]:
    """Return what the parts of a mode compare.

    Args:
        mode: The injection mode.
        first: The first vector field of the version.
    """
    return tuple(
        Comparison(part=part, field=piece.field or first, centered=piece.center)
        for part, piece in mode.pieces.items()
        if isinstance(piece, PairMode)
    )


def prefix(part: str) -> str:
    """Return the prefix of the arrays of a part of a combination; empty for a single mode."""
    return f"{part}." if part else ""


def to_batch(features: Features, mode: Injection, given: Mapping[str, Tensor]) -> Batch:
    """Return the batch of a request. All its operations can be exported.

    Args:
        features: The inputs of the model.
        mode: The injection mode.
        given: The inputs by name.
    """
    import torch

    from ctrbench.batches.packing import Batch

    history = given[HISTORY]
    known = history >= 0
    later = known.long().flip(1).cumsum(1).flip(1)  # clicks from here on, this one included
    row, slot = torch.nonzero(known & (later <= features.history_length), as_tuple=True)
    if torch.compiler.is_compiling():
        torch._check(row.shape[0] > 0)  # an exported graph works without clicks all the same
    clicked, target = history[row, slot], given[TARGET]  # (M,), (B,)
    image_slot = {}
    for comparison in features.comparisons:
        piece = mode.pieces[comparison.part]
        assert isinstance(piece, PairMode)
        unit, has = given[UNIT + comparison.key], given[HAS + comparison.key] > 0
        shown = target[row]
        both = has[shown] & has[clicked]
        cosine = (unit[shown] * unit[clicked]).sum(dim=1) * both
        for name, values in piece.pair_values(cosine, both).items():
            image_slot[prefix(comparison.part) + name] = values
    rows = target.shape[0]
    return Batch(
        click=target.new_zeros(rows, dtype=torch.float32),
        weight=target.new_ones(rows, dtype=torch.float32),
        target=target,
        history=clicked,
        history_row=row,
        item_id=given[ITEM],
        item_codes=_codes(features, "item", given),
        item_numbers=_numbers(features, "item", given, given[ITEM]),
        row_codes=_codes(features, "impression", given),
        row_numbers=_numbers(features, "impression", given, target),
        image_item={
            one.name.removeprefix(IMAGE): given[one.name]
            for one in features.of("item", "image")
            if one.name.startswith(IMAGE)
        },
        image_slot=image_slot,
    )


def _codes(features: Features, owner: str, given: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return codes by the name of the field, which follows the first dot."""
    import torch

    from ctrbench.batches.packing import Bag

    found: dict[str, Any] = {}
    for one in features.of(owner, "code", "list"):
        values = given[one.name]
        if one.kind == "list":
            row, place = torch.nonzero(values >= 0, as_tuple=True)
            values = Bag(values[row, place], row)
        found[one.name.partition(".")[2]] = values
    return found


def _numbers(features: Features, owner: str, given: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Return standardised numbers, (n, columns): per owner its numbers, then its indicators."""
    import torch

    columns: list[Tensor] = []
    numbers = features.of(owner, "number")
    for prefix in dict.fromkeys(one.name.partition(".")[0] for one in numbers):
        own = [one for one in numbers if one.name.partition(".")[0] == prefix]
        for one in own:
            scaled = (given[one.name] - (one.mean or 0.0)) / (one.deviation or 1.0)
            columns.append(torch.where(scaled.isnan(), 0.0, scaled).float())
        columns += [given[one.name].isnan().float() for one in own if one.indicator]
    if not columns:
        return like.new_zeros((like.shape[0], 0), dtype=torch.float32)
    return torch.stack(columns, dim=1)


def _feature(
    name: str,
    of: Literal["item", "impression"],
    kind: Kind,
    shape: tuple[str | int, ...],
    missing: float | None = None,
    **more: Any,
) -> Feature:
    return Feature(
        name=name, of=of, kind=kind, dtype=DTYPES[kind], shape=shape, missing=missing, **more
    )


def _default(row: np.ndarray) -> float | int | tuple[float, ...]:
    """Return the input of an item without a vector, which is that of the unknown item."""
    values = np.asarray(row)
    if (values == values.flat[0]).all():
        return values.flat[0].item() if values.dtype.kind != "b" else float(values.flat[0])
    return tuple(float(one) for one in values.ravel())


def _of_fields(prefix: str, fields: FieldInputs) -> list[Feature]:
    """Return the inputs of the fields of one owner, in the order of a batch."""
    of = "item" if prefix == "item." else "impression"
    axis = "U" if of == "item" else "B"
    found = []
    for name, column in fields.columns.items():
        known = fields.known[name]
        is_list = isinstance(column, Ragged)
        found.append(
            Feature(
                name=prefix + name,
                of=of,
                kind="list" if is_list else "code",
                dtype="int64",
                shape=(axis, "W") if is_list else (axis,),
                missing=PADDING if is_list else int(known.seen[0]),
                unknown=known.unknown,
                description=(
                    "codes of the values by vocabulary.parquet"
                    + ("; -1 is padding, and an empty list is all padding" if is_list else "")
                ),
            )
        )
    for place, name in enumerate(fields.numeric):
        found.append(
            Feature(
                name=prefix + name,
                of=of,
                kind="number",
                dtype="float64",
                shape=(axis,),
                mean=float(np.broadcast_to(fields.scale.mean, len(fields.numeric))[place]),
                deviation=float(fields.scale.deviation[place]),
                indicator=name in fields.gaps,
                description="the number as in the log; NaN if it is missing",
            )
        )
    return found


def _statistics(packer: Packer) -> list[Feature]:
    text = {
        LOG_LENGTH: "log(1 + number of clicks of the user before the snapshot), natural logarithm",
        CLICK_RATE: "clicks / impressions of the user before the snapshot; NaN without one",
    }
    return [
        Feature(
            name=STATE + OF_STATISTIC[name],
            of="impression",
            kind="number",
            dtype="float64",
            shape=("B",),
            mean=float(packer.scale.mean[place]),
            deviation=float(packer.scale.deviation[place]),
            description=text[OF_STATISTIC[name]],
        )
        for place, name in enumerate(packer.statistics)
    ]
