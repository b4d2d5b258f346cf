"""Shared data types: manifests, impressions, embedding tables, cells and records.

This module does not import torch, so that checking a benchmark file takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ctrbench.errors import UnknownNameError
from ctrbench.identity import hash_json

PERIODS = ("pretrain", "train", "valid", "test")  # in order of time

FieldOwner = Literal["user", "item", "context"]
FieldKind = Literal["categorical", "list", "numeric", "text"]
LABEL = "_label_"  # prefix of the columns of further labels; no field begins with '_'
SnapshotKind = Literal["impression", "session", "day", "period"]

IMAGE = "image"  # the vector field of a version that was added without a name of its field
OF_VERSION = ":"  # between a version and its vector field: `v7:text`


class Frozen(BaseModel):
    """Base of validated models: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(Frozen):
    """A column that describes a user, an item or an impression."""

    name: str
    of: FieldOwner
    kind: FieldKind  # text is for people and text encoders; CTR models ignore it
    size: int = 0  # distinct values of a categorical or list field: codes 1..size, 0 is missing


class Split(Frozen):
    """How impressions are assigned to periods."""

    kind: Literal["time", "per_user", "given"]
    shares: tuple[float, ...] = ()  # of the impressions, in the order of PERIODS; empty if given

    def __str__(self) -> str:
        shares = "/".join(f"{100 * share:g}" for share in self.shares)
        return f"{self.kind} {shares} %" if shares else self.kind


class DatasetManifest(Frozen):
    """Description of an imported data set, stored as manifest.json beside its Parquet files."""

    name: str
    importer: str  # a file below ctrbench/datasets/
    label: str  # definition of a click: "rating >= 4"
    labels: tuple[str, ...] = ()  # further labels of the impressions, such as a conversion
    outcome: str | None = None  # the further label in the place of the click; never stored
    split: Split
    periods: dict[str, tuple[int, int]]  # half-open ranges of rows, in the order of PERIODS
    history: Literal["derived", "given"]  # from the user's own clicks, or from the data set
    snapshot: SnapshotKind = "impression"  # unit at whose start a user's state is updated
    snapshot_column: str | None = None  # column of the log that names a session or a day
    has_timestamp: bool
    has_weight: bool
    has_images: bool
    has_p_true: bool = False  # a simulated log includes the true click probability
    fields: tuple[Field, ...]
    # impressions, clicks, users, items, history_items, and further counts of the import
    counts: dict[str, int]
    unknown_codes: tuple[str, ...] = ()  # fields that distinguish unseen from missing values
    notes: tuple[str, ...] = ()  # sentences for readers of tables
    findings: tuple[str, ...] = ()  # problems found by the import; tables show them as warnings
    content_hash: str  # of everything that a cell depends on, except images
    items_hash: str  # of the raw item ids in order, by which embedding versions are joined
    created: str  # ISO 8601, UTC
    ctrbench_version: str


@dataclass(frozen=True)
class Source:
    """The files of an embedding version, and how to read them.

    A name is None if the part has its usual name or is the only one.
    """

    vectors: Path  # a file or a folder
    ids: Path | None = None  # the ids of the vectors, in their order
    column: str | None = None  # the column of vectors of a table
    ids_column: str | None = None  # the column of ids of a table, or of the ids file
    key: str | None = None  # the array of ids
    value: str | None = None  # the array of vectors
    scale: float | None = None  # the factor of int8 vectors; None: 1 / 127
    numeric_ids: bool = False  # whether ids that are equal as numbers match: 007, 7 and "7.0"
    codes: bool = False  # whether the file holds codes instead of vectors


@dataclass(frozen=True)
class GivenVersion:
    """Vectors that come with a public data set: an embedding version for its import to add."""

    name: str  # of the version
    source: Source
    notes: tuple[str, ...] = ()  # about the vectors, such as the encoder that computed them
    origin: Path | None = None  # the official file, if the source is a copy of its rows


class VersionManifest(Frozen):
    """Description of an embedding version, stored as manifest.json beside its table.

    A version has one or more vector fields, such as image and text. Each field has its own table
    and its own manifest. That of the first field also describes the version.
    """

    name: str
    dataset: str
    field: str = IMAGE  # the vector field that all numbers below describe
    items_hash: str  # of the data set whose item ids index the rows
    width: int  # D
    dtype: str  # as given: float16 or float32; int32 or int64 of codes
    code_counts: tuple[int, ...] = ()  # distinct codes of each level; empty: a version of vectors
    items_with_vector: int
    zero_vectors: int = 0  # vectors of norm 0; their items count as items without a vector
    unmatched_ids: int  # ids of the file that are not in the data set
    unmatched_examples: tuple[str, ...] = ()
    provenance: dict[str, Any]  # source file, or method and settings
    content_hash: str  # of the table and the mask
    created: str
    ctrbench_version: str
    further: tuple[VersionManifest, ...] = ()  # of the other vector fields, sorted by name

    @property
    def field_names(self) -> tuple[str, ...]:
        """The vector fields of the version; the first one is read where none is named."""
        return self.field, *(one.field for one in self.further)

    def of(self, field: str | None) -> VersionManifest:
        """Return the manifest of one vector field.

        Args:
            field: The name of the field; None for the first.

        Raises:
            UnknownNameError: The version has no such field.
        """
        for one in (self.model_copy(update={"further": ()}), *self.further):
            if field in (None, one.field):
                return one
        kind = f"vector field of embedding version {self.name!r}"
        raise UnknownNameError(kind, str(field), self.field_names)

    def reference(self, field: str | None) -> str:
        """Return the text that names one vector field: `v7:text`, or `v7` if it is the only one.

        Args:
            field: The name of the field; None for the first.
        """
        return f"{self.name}{OF_VERSION}{field or self.field}" if self.further else self.name

    def hash_of(self, fields: Iterable[str | None]) -> str:
        """Return the hash of the vectors of one or more fields, in their order.

        Args:
            fields: The names of the fields; None for the first.

        Raises:
            UnknownNameError: The version has no such field.
        """
        hashes = list(dict.fromkeys(self.of(field).content_hash for field in fields))
        return hashes[0] if len(hashes) == 1 else hash_json(hashes)

    @property
    def kind(self) -> Literal["vectors", "codes"]:
        """What the version holds for each item: a vector, or one code per level."""
        return "codes" if self.code_counts else "vectors"


@dataclass(frozen=True)
class Guard:
    """The outcome of one check of a data set or a version; the message contains its number."""

    name: str
    outcome: Literal["ok", "warning", "error"]
    message: str


@dataclass(frozen=True)
class Ragged:
    """Concatenated lists of different lengths: row i is values[offsets[i] : offsets[i + 1]]."""

    offsets: np.ndarray  # (n + 1,) int64
    values: np.ndarray  # (total,) int32 codes

    def __len__(self) -> int:
        return len(self.offsets) - 1


ColumnValues = (
    np.ndarray | Ragged
)  # (n,) int32 codes or float32 numbers (NaN: missing), or lists of codes


@dataclass(frozen=True)
class Impressions:
    """A data set as memory-mapped columns; N impressions, V - 1 items, ids from 1, 0 is unknown.

    Rows are sorted by period, then by time. The history of row i is
    history_items[start_i : start_i + length_i], oldest first. A derived history and the prior
    counts cover events strictly before the first impression of the row's snapshot unit, see
    `ctrbench.impressions.states`.
    """

    manifest: DatasetManifest
    user_id: np.ndarray  # (N,) int32
    item_id: np.ndarray  # (N,) int32
    click: np.ndarray  # (N,) int8, 0 or 1
    history_start: np.ndarray  # (N,) int64
    history_length: np.ndarray  # (N,) int32, before truncation to the latest clicks
    history_items: np.ndarray  # (H,) int32, item ids; 0 is an item without a row in `items`
    timestamp: np.ndarray | None  # (N,) int64, seconds since 1970, or the log's own unit
    weight: np.ndarray | None  # (N,) float32, > 0
    prior_impressions: np.ndarray | None  # (N,) int32, the user's impressions before the unit
    prior_clicks: np.ndarray | None  # (N,) int32, the clicked ones among them
    p_true: np.ndarray | None  # (N,) float32, true probability of a simulated log; not an input
    user_fields: dict[str, ColumnValues]  # row = user_id, row 0 unknown
    item_fields: dict[str, ColumnValues]  # row = item_id, row 0 unknown
    context_fields: dict[str, ColumnValues]  # row = impression
    group: np.ndarray | None = None  # (N,) int32, groups finer than users; None: users

    @property
    def group_id(self) -> np.ndarray:
        """(N,) int32, the evaluation group: the impressions that GAUC compares with each other."""
        return self.user_id if self.group is None else self.group

    def rows(self, period: str) -> slice:
        """Return the rows of one period; empty if the data set does not have it."""
        return slice(*self.manifest.periods.get(period, (0, 0)))

    def columns(self) -> Iterator[np.ndarray]:
        """Yield the arrays of all impressions and histories."""
        own = (self.user_id, self.item_id, self.click, self.timestamp, self.weight, self.p_true)
        counts = (self.prior_impressions, self.prior_clicks, self.group)
        history = (self.history_start, self.history_length, self.history_items)
        yield from (array for array in (*own, *counts, *history) if array is not None)
        for column in self.context_fields.values():
            yield from (column.offsets, column.values) if isinstance(column, Ragged) else (column,)

    @property
    def item_rows(self) -> int:
        """V: the number of items plus one for the unknown item."""
        return self.manifest.counts["items"] + 1

    @property
    def user_rows(self) -> int:
        """The number of users plus one for the unknown user."""
        return self.manifest.counts["users"] + 1

    @property
    def fitting_period(self) -> str:
        """The period on which codebooks, means and PCA are fitted: `pretrain`, else `train`."""
        rows = self.rows("pretrain")
        return "pretrain" if rows.stop > rows.start else "train"


@dataclass(frozen=True)
class EmbeddingTable:
    """One embedding version, indexed by item id, as given: neither normalised nor centred.

    A version of codes has integers instead of vectors, one column per level. A code of 0 is not a
    missing one: only `has_vector` shows which items have codes.
    """

    vectors: np.ndarray  # (V, D) float16 or float32, often a memory map; zeros if missing
    has_vector: np.ndarray  # (V,) bool


class Control(Frozen):
    """A null version made from a real one, which carries no information of the images."""

    kind: str  # a file below ctrbench/controls/
    within: str | None = None  # item field; vectors move only among items with the same value

    def __str__(self) -> str:
        return f"{self.kind}-within-{self.within}" if self.within else self.kind


class Cell(Frozen):
    """The smallest unit that is run and stored, with everything that can change its result.

    Settings at their default are omitted, so that a new setting keeps the hashes of stored cells.
    A change of a default requires a new `protocol`.
    """

    dataset: str
    data_hash: str
    version: str | None  # None: the baseline
    vectors_hash: str | None
    control: Control | None
    mode: str
    mode_revision: int  # of the mode's code
    mode_settings: dict[str, Any]  # without defaults, as the next two
    model: dict[str, Any]
    training: dict[str, Any]
    seed: int
    protocol: int  # raised by hand when the same cell would give a different result
    repeat: int = 0  # 1 for the A/A arm, the same cell trained a second time
    outcome: str | None = None  # the predicted label of the data set; None: the click

    @property
    def hash(self) -> str:
        """The identity under which the cell is stored."""
        left_out = {name for name in ("repeat", "outcome") if not getattr(self, name)}
        return hash_json(self.model_dump(mode="json", exclude=left_out))

    @property
    def imported(self) -> bool:
        """Whether the cell holds imported predictions of another model."""
        return self.mode == IMPORTED

    @property
    def scores(self) -> bool:
        """Whether its predictions are ranks of scores, not probabilities."""
        return self.imported and self.mode_settings.get("scores", False)

    @property
    def version_label(self) -> str:
        """The name of folders and rows: `none`, `raw`, `raw@shuffled`.

        A version's own name cannot contain '@'.
        """
        if self.version is None:
            return "none"
        return f"{self.version}@{self.control}" if self.control else self.version

    @property
    def label(self) -> str:
        """The cell's description, for messages and progress."""
        again = ", again" if self.repeat else ""
        again += f", label {self.outcome}" if self.outcome else ""
        return f"{self.dataset} / {self.version_label} / {self.mode} / seed {self.seed}{again}"


IMPORTED = "predictions"  # in place of the mode of a cell that holds imported predictions


class ImportedPredictions(Frozen):
    """Description of another model's predictions, stored as predictions.json beside its records."""

    name: str  # in place of a version
    dataset: str
    data_hash: str
    seeds: tuple[int, ...]  # of the file; (0,) if it has none
    scores: bool  # numbers of which only the order matters, stored as ranks; else probabilities
    content_hash: str  # of the predictions of all seeds
    protocol: int  # by which they were measured
    source: str  # the file's path
    created: str  # ISO 8601, UTC
    ctrbench_version: str
    outcome: str | None = None  # the predicted label of the data set; None: the click

    def cell(self, seed: int) -> Cell:
        """Return the cell under which the predictions of one seed are stored."""
        return Cell(
            dataset=self.dataset,
            data_hash=self.data_hash,
            version=self.name,
            vectors_hash=self.content_hash,
            control=None,
            mode=IMPORTED,
            mode_revision=1,
            mode_settings={"scores": True} if self.scores else {},
            model={},
            training={},
            seed=seed,
            protocol=self.protocol,
            outcome=self.outcome,
        )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of all seeds, in the order of `seeds`."""
        return tuple(map(self.cell, self.seeds))


class Metrics(BaseModel):
    """Quality of one set of predictions: counts, and the values of metrics by their names."""

    model_config = ConfigDict(frozen=True, extra="allow")
    # by metric; None where it is not defined
    __pydantic_extra__: dict[str, float | None]  # pyright: ignore[reportIncompatibleVariableOverride]

    impressions: int
    clicks: int
    users: int
    evaluable_users: int  # users with both classes in one evaluation group
    evaluable_impressions: int

    @classmethod
    def of(cls, values: Mapping[str, float | None], **counts: int) -> Metrics:
        """Return metrics with these values.

        Args:
            values: By metric; None where it is not defined.
            **counts: The fields.
        """
        return cls.model_validate({**counts, **values})

    def merged(self, values: Mapping[str, float | None]) -> Metrics:
        """Return these metrics with the given values added or replaced."""
        return Metrics.model_validate({**self.model_dump(), **values})

    @property
    def values(self) -> dict[str, float | None]:
        """The stored metrics by name; None where one is not defined."""
        return dict(self.__pydantic_extra__)

    def value(self, metric: str) -> float | None:
        """Return a metric; None where it is not stored or not defined."""
        return self.__pydantic_extra__.get(metric)


class CurvePoint(Frozen):
    """Metrics of the impressions since the previous point, each predicted before its update."""

    impressions: int  # trained so far
    loss: float
    auc: float | None


class BlockPoint(Frozen):
    """L2 norms over all weights of one part of the model, at one point of the epoch."""

    gradient: float  # gradient of the last batch
    update: float  # L2 distance moved since the previous point
    weight: float  # weights at the previous point


class TracePoint(Frozen):
    """The model at one point of the learning curve."""

    impressions: int  # trained so far
    loss: float  # since the previous point
    blocks: dict[str, BlockPoint]  # ids, image, attention, mlp
    reported: dict[str, float]  # values that the mode reports, such as a gate


class Trace(Frozen):
    """How a cell learned, and how much its metrics depend on each input."""

    points: tuple[TracePoint, ...]
    permuted: dict[str, dict[str, float]]  # item_id, image -> metric -> loss, a fraction


NOISES = (0.05, 0.2)  # standard deviations, in logits, of the noise that probes a baseline
PERMUTED = "permuted"  # probe: outcomes of the test period permuted within evaluation groups


def noise_probe(deviation: float) -> str:
    """Return the key of a noise probe.

    >>> noise_probe(0.05)
    'noise_0.05'
    """
    return f"noise_{deviation:g}"


ENERGY = "energy_j"  # key of a record's facts; absent where the energy cannot be measured
PROCESSES = "processes"  # key of a record's environment; missing if one process trained the cell
LOOPS = "loops"  # key of a record's environment; "plain" if compiled loops were missing
MODE_CODE = "mode_program"  # key of a record's environment: hash of the mode's code
MODE_TEXT = "mode_code"  # the same key in older records: hash of the file with its docstrings


class CellRecord(Frozen):
    """The stored result of a cell without its predictions; one JSON file."""

    hash: str
    cell: Cell
    settings: dict[str, dict[str, Any]] = {}  # model, training and mode, with defaults
    status: Literal["done", "failed"]
    reason: str = ""  # of a failure
    metrics: dict[str, Metrics] = {}  # by period: valid, test
    slices: dict[str, Metrics] = {}  # of the test period, by slice key
    probes: dict[str, Metrics] = {}  # by `<probe>/<test or slice key>`; see runner.probes
    facts: dict[str, float] = {}  # coverage, codebook use, values that the mode reports
    curve: tuple[CurvePoint, ...] = ()
    seconds: dict[str, float] = {}  # by stage: prepare, train, predict
    peak_memory_bytes: int = 0
    parameters: int = 0
    environment: dict[str, str] = {}  # library versions, commit, processor
    finished: str = ""  # ISO 8601, UTC
    with_influence: bool = False  # whether influence values were stored with the record
