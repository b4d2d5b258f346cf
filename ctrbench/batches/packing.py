"""Packed batches: distinct items once, histories end to end, no padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrbench.batches.slots import HistorySlots
from ctrbench.impressions.periods import chunks, count_users
from ctrbench.impressions.states import user_statistics
from ctrbench.schema import ColumnValues, Impressions, Ragged
from ctrbench.settings import ModelSettings, UserStatistic

Seen = Callable[[], Iterable[np.ndarray]]  # rows of the training period, part by part

USER_STATISTICS: tuple[UserStatistic, ...] = ("history_length", "click_rate")
ROUNDING = 1e-6  # a deviation below this, relative to the mean, is a constant


@dataclass(frozen=True)
class Bag:
    """Lists of codes, packed: codes[j] belongs to row[j]."""

    codes: Tensor  # (L,) int64
    row: Tensor  # (L,) int64, ascending

    def __getitem__(self, chosen: Tensor) -> Bag:
        """Return the lists of the rows for which a (rows,) bool tensor is true."""
        kept = chosen[self.row]
        return Bag(self.codes[kept], (chosen.cumsum(0) - 1)[self.row[kept]])


Codes = Tensor | Bag  # (n,) int64, or lists of codes


@dataclass(frozen=True)
class Batch:
    """B impressions, their U distinct items and their M history items."""

    click: Tensor  # (B,) float32
    weight: Tensor  # (B,) float32
    target: Tensor  # (B,) int64, index into the distinct items
    history: Tensor  # (M,) int64, index into the distinct items; oldest first
    history_row: Tensor  # (M,) int64, index of the impression, ascending
    item_id: Tensor  # (U,) int64, 0 where the id is unknown to the training period
    item_codes: dict[str, Codes]  # fields of the distinct items (U)
    item_numbers: Tensor  # (U, n) float32, standardised
    row_codes: dict[str, Codes]  # fields of user and context (B)
    row_numbers: Tensor  # (B, n) float32, standardised
    image_item: dict[str, Tensor]  # (U, ...) arrays that the mode prepared per item
    image_slot: dict[str, Tensor]  # (M, ...) arrays that the mode prepared per slot
    # (U,) float32, of a part of a batch: 1 in one part that has the item, 0 in the others
    counted: Tensor | None = None

    def part(self, rows: slice) -> tuple[Batch, Tensor, slice]:
        """Return some impressions of a batch without images, their items and their slots.

        Args:
            rows: The impressions.

        Returns:
            The part, which items of this batch it has, (U,) bool, and which slots.
        """
        edges = torch.searchsorted(self.history_row, torch.tensor([rows.start, rows.stop]))
        slots = slice(*edges.tolist())
        has_item = torch.zeros(len(self.item_id), dtype=torch.bool)
        has_item[self.target[rows]] = True
        has_item[self.history[slots]] = True
        place = has_item.cumsum(0) - 1
        own = torch.zeros(len(self.target), dtype=torch.bool)
        own[rows] = True
        found = replace(
            self,
            click=self.click[rows],
            weight=self.weight[rows],
            target=place[self.target[rows]],
            history=place[self.history[slots]],
            history_row=self.history_row[slots] - rows.start,
            item_id=self.item_id[has_item],
            item_codes={name: codes[has_item] for name, codes in self.item_codes.items()},
            item_numbers=self.item_numbers[has_item],
            row_codes={name: codes[own] for name, codes in self.row_codes.items()},
            row_numbers=self.row_numbers[rows],
            counted=self._counted(rows)[has_item],
        )
        return found, has_item, slots

    def _counted(self, rows: slice) -> Tensor:
        """Return 1 for the items whose last click, or else target, is in the rows; else 0, (U,)."""
        last = np.empty(len(self.item_id), np.int64)
        last[self.target.numpy()] = np.arange(len(self.target))
        last[self.history.numpy()] = self.history_row.numpy()
        return torch.from_numpy(((rows.start <= last) & (last < rows.stop)).astype(np.float32))

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to each of its tensors."""
        return Batch(**{f.name: _mapped(getattr(self, f.name), change) for f in fields(self)})

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return self.mapped(lambda values: values.to(device, non_blocking=True))


@dataclass(frozen=True)
class InputSizes:
    """The sizes of the tables and inputs of a model."""

    item_rows: int  # V
    item_codes: dict[str, int]  # values of each item field, the missing and unknown ones included
    item_numbers: int
    row_codes: dict[str, int]
    row_numbers: int


class Packer:
    """Turns row numbers into batches. Holds tables over items and users, not over impressions."""

    def __init__(
        self,
        slots: HistorySlots,
        settings: ModelSettings,
        image_item: dict[str, np.ndarray],
        image_slot: dict[str, np.ndarray],
    ) -> None:
        """Read the training period once to find the ids and values that a model can learn.

        Args:
            slots: The impressions, and the history length of the model.
            settings: The fields of the model.
            image_item: (V, ...) arrays of the mode, by name.
            image_slot: (slots, ...) arrays of the mode, by name.
        """
        self.slots = slots
        self._image_item = image_item
        self._image_slot = image_slot
        log = slots.impressions
        self.item_counts = slots.item_counts("train")
        self.known_id = np.where(self.item_counts > 0, np.arange(log.item_rows), 0)
        self.known_id[0] = 0
        self.inputs = _inputs(log, settings, self.item_counts > 0)
        self.statistics = settings.user_statistics
        self._chosen = [USER_STATISTICS.index(name) for name in self.statistics]
        self.scale = Scale.fit(self.raw_statistics(part) for part in chunks(log.rows("train")))
        self._mean_weight = (
            1.0 if log.weight is None else float(log.weight[log.rows("train")].mean())
        )
        self._slot_moved: tuple[int, np.ndarray] | None = None  # first, and where each from it is
        self._position = np.zeros(log.item_rows, np.int64)  # scratch: item -> place in the batch

    @property
    def sizes(self) -> InputSizes:
        """The sizes that a model is built with."""
        item, user, context = self.inputs.item, self.inputs.user, self.inputs.context
        return InputSizes(
            item_rows=self.slots.impressions.item_rows,
            item_codes=item.code_sizes,
            item_numbers=item.number_width,
            row_codes=user.code_sizes | context.code_sizes,
            row_numbers=len(self._chosen) + user.number_width + context.number_width,
        )

    def pack(
        self,
        rows: np.ndarray,
        dropout: tuple[float, np.random.Generator] | None,
        part: slice | None = None,
    ) -> Batch:
        """Return a batch of some impressions.

        Args:
            rows: (B,) int, row numbers from the `train` period on.
            dropout: The share of ids to replace by the unknown one, and the random stream.
            part: Return only this part of the rows, with the random ids of the whole batch.
        """
        log = self.slots.impressions
        positions, history_row, lengths = self.slots.positions(rows)
        occurrences = np.concatenate([log.item_id[rows], log.history_items[positions]])
        items, index = self._distinct(occurrences)
        inputs, user_id = self.inputs, log.user_id[rows]
        slots = self._slots(rows, lengths) if self._image_slot else None
        batch = Batch(
            click=_tensor(log.click[rows], np.float32),
            weight=_tensor(self._weight(rows), np.float32),
            target=_tensor(index[: len(rows)]),
            history=_tensor(index[len(rows) :]),
            history_row=_tensor(history_row),
            item_id=_tensor(_drop(self.known_id[items], dropout)),
            item_codes=inputs.item.codes(items, dropout),
            item_numbers=_tensor(inputs.item.numbers(items), np.float32),
            row_codes=inputs.user.codes(user_id, dropout) | inputs.context.codes(rows, dropout),
            row_numbers=_tensor(
                np.concatenate(
                    [
                        self.scale.apply(self.raw_statistics(rows)),
                        inputs.user.numbers(user_id),
                        inputs.context.numbers(rows),
                    ],
                    axis=1,
                ),
                np.float32,
            ),
            image_item={},
            image_slot={},
        )
        if part is not None:
            batch, has_item, of_part = batch.part(part)
            items, slots = items[has_item.numpy()], slots if slots is None else slots[of_part]
        return replace(
            batch,
            image_item={name: _tensor(values[items]) for name, values in self._image_item.items()},
            image_slot={name: _tensor(values[slots]) for name, values in self._image_slot.items()},
        )

    def raw_statistics(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return (B, n) statistics of each row's user, not standardised."""
        return user_statistics(self.slots.impressions, rows)[:, self._chosen]

    def with_permuted_ids(self, rng: np.random.Generator) -> Packer:
        """Return a packer in which the ids of all items of the training period are permuted."""
        known = np.flatnonzero(self.known_id)
        other = copy(self)
        other.known_id = self.known_id.copy()
        other.known_id[known] = rng.permutation(known)
        return other

    def with_permuted_images(self, rng: np.random.Generator, has_vector: np.ndarray) -> Packer:
        """Return a packer that permutes images of items, and the values of test slots.

        Args:
            rng: Draws the permutations.
            has_vector: (V,) bool, the items whose images are permuted.
        """
        order, items = np.arange(len(has_vector)), np.flatnonzero(has_vector)
        order[items] = rng.permutation(items)
        first = int(self.slots.starts(np.array([self.slots.impressions.rows("test").start]))[0])
        other = copy(self)
        other._image_item = {name: values[order] for name, values in self._image_item.items()}
        other._slot_moved = first, first + rng.permutation(self.slots.total - first)
        return other

    def _slots(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (M,) positions of the rows' slots in a slot array."""
        slots = self.slots.slots(rows, lengths)
        if self._slot_moved is None:
            return slots
        first, places = self._slot_moved
        return np.where(slots < first, slots, places[np.maximum(slots - first, 0)])

    def _weight(self, rows: np.ndarray) -> np.ndarray:
        """Return (B,) weights, scaled to a mean of 1 over the training period."""
        weight = self.slots.impressions.weight
        return np.ones(len(rows)) if weight is None else weight[rows] / self._mean_weight

    def _distinct(self, occurrences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distinct items and the index of each occurrence, without a sort."""
        place = np.arange(len(occurrences))
        self._position[occurrences] = place  # the last occurrence represents the item
        items = occurrences[self._position[occurrences] == place]
        self._position[items] = np.arange(len(items))
        return items, self._position[occurrences]


@dataclass(frozen=True)
class Scale:
    """Standardises numbers by the training period; a missing number becomes the mean, 0."""

    mean: np.ndarray  # (n,)
    deviation: np.ndarray  # (n,)

    @classmethod
    def fit(cls, parts: Iterable[np.ndarray]) -> Scale:
        """Return the scale of (rows, n) parts, by the update of Chan, Golub and LeVeque 1983."""
        count = mean = squares = np.zeros(1)
        for numbers in parts:
            present = ~np.isnan(numbers)
            own = present.sum(axis=0)
            own_mean = np.nansum(numbers, axis=0) / np.maximum(own, 1)
            apart, together = own_mean - mean, np.maximum(count + own, 1)
            mean = mean + apart * own / together
            own_squares = np.nansum((numbers - own_mean) ** 2, axis=0)
            squares = squares + own_squares + apart**2 * count * own / together
            count = count + own
        deviation = np.sqrt(squares / np.maximum(count, 1))
        varies = deviation > ROUNDING * np.maximum(1, np.abs(mean))
        return cls(mean, np.where(varies, deviation, 1))

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return (rows, n) numbers, standardised."""
        return np.nan_to_num((numbers - self.mean) / self.deviation, nan=0.0)


@dataclass(frozen=True)
class KnownCodes:
    """The codes of a field in the input of a model."""

    seen: np.ndarray  # code -> code; the unknown code for values not in the training period
    unknown: int  # its row is trained by random dropout

    @classmethod
    def of(cls, present: np.ndarray, apart: bool) -> KnownCodes:
        """Map values that the training period lacks to the unknown code.

        Args:
            present: (values + 1,) bool, codes in the training period; 0 is missing.
            apart: Whether the unknown code differs from the code of missing values.
        """
        unknown = len(present) if apart else 0
        return cls(np.where(present, np.arange(len(present)), unknown), unknown)

    @property
    def rows(self) -> int:
        """The number of codes."""
        return max(len(self.seen), self.unknown + 1)


@dataclass(frozen=True)
class FieldInputs:
    """The fields of one owner (items, users or impressions), indexed by row."""

    columns: dict[str, ColumnValues]  # categorical and list
    known: dict[str, KnownCodes]
    numeric: dict[str, np.ndarray]
    scale: Scale
    gaps: tuple[str, ...]  # numeric fields with missing values; each has a 0/1 indicator

    @property
    def code_sizes(self) -> dict[str, int]:
        """The number of codes of each categorical and list field."""
        return {name: known.rows for name, known in self.known.items()}

    @property
    def number_width(self) -> int:
        """The number of columns of `numbers`."""
        return len(self.numeric) + len(self.gaps)

    def codes(
        self, rows: np.ndarray, dropout: tuple[float, np.random.Generator] | None
    ) -> dict[str, Codes]:
        """Return the codes of some rows by field.

        Args:
            rows: (n,) int row numbers.
            dropout: The share of codes to replace by the unknown one, and the random stream.
        """
        return {
            name: _look_up(column, rows, self.known[name], dropout)
            for name, column in self.columns.items()
        }

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the standardised numbers of some rows, then the indicators of missing ones."""
        raw = _stack([column[rows] for column in self.numeric.values()], len(rows))
        gaps = _stack([np.isnan(self.numeric[name][rows]) for name in self.gaps], len(rows))
        return np.concatenate([self.scale.apply(raw), gaps], axis=1)


@dataclass(frozen=True)
class Inputs:
    """The fields of each owner."""

    item: FieldInputs
    user: FieldInputs
    context: FieldInputs


def _inputs(log: Impressions, settings: ModelSettings, item_seen: np.ndarray) -> Inputs:
    train = log.rows("train")
    user_seen = count_users(log, train)[0] > 0
    users = dict(log.user_fields)
    if settings.user_id:
        users["user_id"] = np.arange(log.user_rows, dtype=np.int32)
    sizes = {field.name: field.size + 1 for field in log.manifest.fields} | {
        "user_id": log.user_rows
    }

    def chosen(columns: dict[str, ColumnValues], seen: Seen) -> FieldInputs:
        wanted = {
            name: column
            for name, column in columns.items()
            if settings.fields is None or name in settings.fields or name == "user_id"
        }
        return _fields(wanted, sizes, seen, log.manifest.unknown_codes)

    return Inputs(
        item=chosen(log.item_fields, lambda: [np.flatnonzero(item_seen)]),
        user=chosen(users, lambda: [np.flatnonzero(user_seen)]),
        context=chosen(
            log.context_fields,
            lambda: (np.arange(part.start, part.stop) for part in chunks(train)),
        ),
    )


def _fields(
    columns: dict[str, ColumnValues], sizes: dict[str, int], seen: Seen, apart: tuple[str, ...]
) -> FieldInputs:
    """Return the fields, with codes and scales from the chunks of training rows."""
    coded: dict[str, ColumnValues] = {}
    numeric: dict[str, np.ndarray] = {}
    for name, column in columns.items():
        if not isinstance(column, Ragged) and column.dtype.kind == "f":
            numeric[name] = column
        else:
            coded[name] = column
    known = {}
    for name, column in coded.items():
        present = np.zeros(sizes[name], bool)
        for rows in seen():
            present[_gather(column, rows)[0] if isinstance(column, Ragged) else column[rows]] = True
        known[name] = KnownCodes.of(present, name in apart)
    return FieldInputs(
        columns=coded,
        known=known,
        numeric=numeric,
        scale=Scale.fit(
            _stack([column[rows] for column in numeric.values()], len(rows)) for rows in seen()
        ),
        gaps=tuple(
            name
            for name, column in numeric.items()
            if any(np.isnan(column[rows]).any() for rows in seen())
        ),
    )


def _look_up(
    column: ColumnValues,
    rows: np.ndarray,
    known: KnownCodes,
    dropout: tuple[float, np.random.Generator] | None,
) -> Codes:
    if isinstance(column, Ragged):
        values, row = _gather(column, rows)
        return Bag(_tensor(_drop(known.seen[values], dropout, known.unknown)), _tensor(row))
    return _tensor(_drop(known.seen[column[rows]], dropout, known.unknown))


def _gather(column: Ragged, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated values of some lists, and the index of the list of each."""
    starts, lengths = column.offsets[rows], column.offsets[rows + 1] - column.offsets[rows]
    row = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return column.values[starts[row] + within], row


def _drop(
    ids: np.ndarray, dropout: tuple[float, np.random.Generator] | None, unknown: int = 0
) -> np.ndarray:
    """Replace a random share of ids by the unknown one, so that its row is trained."""
    if dropout is None:
        return ids
    share, rng = dropout
    return np.where(rng.random(len(ids)) < share, unknown, ids)


def _stack(columns: list[np.ndarray], length: int) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.float64) if columns else np.empty((length, 0))


def _tensor(values: np.ndarray, dtype: Any = None) -> Tensor:
    if dtype is None:
        dtype = np.int64 if values.dtype.kind in "iu" else np.float32
    return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    if isinstance(value, Bag):
        return Bag(change(value.codes), change(value.row))
    return None if value is None else change(value)
