"""What travels between the rooms: manifests, impressions, embedding tables, cells, records.

Nothing here imports torch, so that a benchmark file is checked in a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ctrbench.identity import hash_json

PERIODS = ("pretrain", "train", "valid", "test")  # in order of time

FieldOwner = Literal["user", "item", "context"]
FieldKind = Literal["categorical", "list", "numeric", "text"]
SnapshotKind = Literal["impression", "session", "day", "period"]


class Frozen(BaseModel):
    """Base of every checked record: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(Frozen):
    """A column beside the ids that describes a user, an item or an impression."""

    name: str
    of: FieldOwner
    kind: FieldKind  # text is kept for people and text encoders; no CTR model reads it
    size: int = 0  # distinct values of a categorical or list field: codes 1..size, 0 is missing


class Split(Frozen):
    """How impressions were divided into periods."""

    kind: Literal["time", "per_user", "given"]
    shares: tuple[float, ...] = ()  # of the impressions, in the order of PERIODS; empty if given

    def __str__(self) -> str:
        shares = "/".join(f"{100 * share:g}" for share in self.shares)
        return f"{self.kind} {shares} %" if shares else self.kind


class DatasetManifest(Frozen):
    """What an imported data set is; stands beside its Parquet files as manifest.json."""

    name: str
    importer: str  # the file below ctrbench/datasets/ that read it
    label: str  # what counts as a click, in words: "rating >= 4"
    split: Split
    periods: dict[str, tuple[int, int]]  # half-open ranges of rows, in the order of PERIODS
    history: Literal["derived", "given"]  # from the user's own clicks, or from the data set
    snapshot: SnapshotKind = "impression"  # when the state that a model sees of a user is renewed
    snapshot_column: str | None = None  # of the log, that names a session or a day
    has_timestamp: bool
    has_weight: bool
    has_images: bool
    has_p_true: bool = False  # of a simulated log: the probability each click was drawn from
    fields: tuple[Field, ...]
    counts: dict[
        str, int
    ]  # impressions, clicks, users, items, history_items, and whatever import counted
    unknown_codes: tuple[str, ...] = ()  # fields whose unseen values are not their missing ones
    notes: tuple[str, ...] = ()  # what a reader of a table must know, a sentence each
    findings: tuple[str, ...] = ()  # faults that import found, a sentence each: warnings of tables
    content_hash: str  # of everything a cell can depend on; images apart
    items_hash: str  # of the raw item ids in order: embedding versions are joined to these
    created: str  # ISO 8601, UTC
    ctrbench_version: str


class VersionManifest(Frozen):
    """What an embedding version is; stands beside its table as manifest.json."""

    name: str
    dataset: str
    items_hash: str  # of the data set whose item ids the rows follow
    width: int  # D
    dtype: str  # as given: float16 or float32
    items_with_vector: int
    zero_vectors: int = 0  # without a direction: their items count as items without a vector
    unmatched_ids: int  # ids of the file that the data set does not know
    unmatched_examples: tuple[str, ...] = ()
    provenance: dict[str, Any]  # how it was made: source file, or method and settings
    content_hash: str  # of the table and the mask
    created: str
    ctrbench_version: str


@dataclass(frozen=True)
class Guard:
    """The outcome of one check of a data set or a version, with the number it rests on."""

    name: str
    outcome: Literal["ok", "warning", "error"]
    message: str


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths, end to end: row i is values[offsets[i] : offsets[i + 1]]."""

    offsets: np.ndarray  # (n + 1,) int64
    values: np.ndarray  # (total,) int32 codes

    def __len__(self) -> int:
        return len(self.offsets) - 1


Column = (
    np.ndarray | Ragged
)  # (n,) int32 codes or float32 numbers (NaN: missing), or lists of codes


@dataclass(frozen=True)
class Impressions:
    """A data set as memory-mapped columns; N impressions, V - 1 items, ids from 1, 0 is unknown.

    Rows stand in the order of periods, within a period in the order of time. The history of
    row i is the last entries of history_items[start_i : start_i + length_i], oldest first. A
    derived history and the prior counts hold what happened strictly before the first impression
    of the row's snapshot unit, see `ctrbench.impressions.snapshots`.
    """

    manifest: DatasetManifest
    user_id: np.ndarray  # (N,) int32
    item_id: np.ndarray  # (N,) int32
    click: np.ndarray  # (N,) int8, 0 or 1
    history_start: np.ndarray  # (N,) int64
    history_length: np.ndarray  # (N,) int32, before any cut to the latest ones
    history_items: np.ndarray  # (H,) int32, item ids; 0 is an item without a row in `items`
    timestamp: np.ndarray | None  # (N,) int64, seconds since 1970, or the log's own ordinal
    weight: np.ndarray | None  # (N,) float32, > 0
    prior_impressions: np.ndarray | None  # (N,) int32, the user's impressions before the unit
    prior_clicks: np.ndarray | None  # (N,) int32, the clicked ones among them
    p_true: np.ndarray | None  # (N,) float32, of a simulated log; no model sees it
    user_fields: dict[str, Column]  # row = user_id, row 0 unknown
    item_fields: dict[str, Column]  # row = item_id, row 0 unknown
    context_fields: dict[str, Column]  # row = impression
    group: np.ndarray | None = None  # (N,) int32, groups finer than users; None: the users

    @property
    def group_id(self) -> np.ndarray:
        """(N,) int32, the evaluation group: the impressions that GAUC compares with each other."""
        return self.user_id if self.group is None else self.group

    def rows(self, period: str) -> slice:
        """The rows of one period; empty if the data set has none."""
        return slice(*self.manifest.periods.get(period, (0, 0)))

    @property
    def item_rows(self) -> int:
        """V: the number of items and the unknown one."""
        return self.manifest.counts["items"] + 1

    @property
    def user_rows(self) -> int:
        """The number of users and the unknown one."""
        return self.manifest.counts["users"] + 1

    @property
    def fitting_period(self) -> str:
        """Where codebooks, means and PCA are fitted: `pretrain`, or `train` where there is none."""
        rows = self.rows("pretrain")
        return "pretrain" if rows.stop > rows.start else "train"


@dataclass(frozen=True)
class EmbeddingTable:
    """One embedding version, joined by item id, as given: neither normalised nor centred."""

    vectors: np.ndarray  # (V, D) float16 or float32, often a memory map; zeros where there is none
    has_vector: np.ndarray  # (V,) bool


class Control(Frozen):
    """A null version made from a real one: what remains when the images' information is gone."""

    kind: str  # a file below ctrbench/controls/
    within: str | None = None  # only among items with the same value of this item field

    def __str__(self) -> str:
        return f"{self.kind}-within-{self.within}" if self.within else self.kind


class Cell(Frozen):
    """The smallest thing that is run and stored, and all that can change its result.

    Settings at their default are left out, so that a setting added later keeps stored cells; a
    default that changes raises `protocol`.
    """

    dataset: str
    data_hash: str
    version: str | None  # None: the baseline
    vectors_hash: str | None
    control: Control | None
    mode: str
    mode_revision: int  # of the mode's own code
    mode_settings: dict[str, Any]  # this and the next two: only what differs from the defaults
    model: dict[str, Any]
    training: dict[str, Any]
    seed: int
    protocol: int  # raised by hand when the same cell would give another result
    repeat: int = 0  # 1: the A/A arm, the same cell trained a second time

    @property
    def hash(self) -> str:
        """The identity under which the cell is stored."""
        left_out = None if self.repeat else {"repeat"}
        return hash_json(self.model_dump(mode="json", exclude=left_out))

    @property
    def version_label(self) -> str:
        """The folder and row name: `none`, `raw`, `raw@shuffled`.

        The '@' cannot stand in a version's own name.
        """
        if self.version is None:
            return "none"
        return f"{self.version}@{self.control}" if self.control else self.version

    @property
    def label(self) -> str:
        """The cell in words, for messages and progress."""
        again = ", again" if self.repeat else ""
        return f"{self.dataset} / {self.version_label} / {self.mode} / seed {self.seed}{again}"


class Metrics(Frozen):
    """Quality of one set of predictions; None where it is not defined (one class only)."""

    impressions: int
    clicks: int
    users: int
    evaluable_users: int  # with both classes in one evaluation group: those that carry GAUC
    evaluable_impressions: int
    auc: float | None
    gauc: float | None  # weighted by impressions
    gauc_clicks: float | None
    gauc_users: float | None
    log_loss: float | None
    predicted_over_observed: float | None  # mean p_click / CTR; 1 is calibrated


class CurvePoint(Frozen):
    """The part of the epoch since the last point, each impression predicted before learned."""

    impressions: int  # seen so far
    loss: float
    auc: float | None


class BlockPoint(Frozen):
    """One part of the model at one point of the epoch; Euclidean norms over all its weights."""

    gradient: float  # of the last batch
    update: float  # the way since the last point
    weight: float  # the weights at the last point


class TracePoint(Frozen):
    """The model at one point of the learning curve."""

    impressions: int  # seen so far
    loss: float  # since the last point
    blocks: dict[str, BlockPoint]  # ids, image, attention, mlp
    reported: dict[str, float]  # by the mode: a gate, say


class Trace(Frozen):
    """How a cell learned, and what its inputs are worth to it in the end."""

    points: tuple[TracePoint, ...]
    permuted: dict[str, dict[str, float]]  # item_id, image -> metric -> what is lost, a fraction


NOISES = (0.05, 0.2)  # standard deviations, in logits, of the noise that a baseline is probed with
PERMUTED = "permuted"  # probe: outcomes of the test period permuted within evaluation groups


def noise_probe(deviation: float) -> str:
    """Return the key of a noise probe.

    >>> noise_probe(0.05)
    'noise_0.05'
    """
    return f"noise_{deviation:g}"


LOOPS = "loops"  # of a record's environment: "plain" where the compiled ones were not there
MODE_CODE = "mode_code"  # of a record's environment: a hash of the file its mode is written in


class CellRecord(Frozen):
    """Everything a cell leaves behind besides its predictions; one JSON file."""

    hash: str
    cell: Cell
    settings: dict[str, dict[str, Any]] = {}  # model, training and mode in full, defaults filled in
    status: Literal["done", "failed"]
    reason: str = ""  # why it failed
    metrics: dict[str, Metrics] = {}  # by period: valid, test
    slices: dict[str, Metrics] = {}  # of the test period, by the slice's key
    probes: dict[str, Metrics] = {}  # by `<probe>/<test or the slice's key>`; see runner.probes
    facts: dict[str, float] = {}  # coverage, codebook use, gates: what the mode reported
    curve: tuple[CurvePoint, ...] = ()
    seconds: dict[str, float] = {}  # by stage: prepare, train, predict
    peak_memory_bytes: int = 0
    parameters: int = 0
    environment: dict[str, str] = {}  # library versions, commit, processor
    finished: str = ""  # ISO 8601, UTC
