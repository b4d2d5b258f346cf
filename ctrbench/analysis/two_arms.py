"""The comparison of two arms, from stored cells or from files of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ctrbench.analysis.measured import measured
from ctrbench.analysis.prediction_files import ComparedFiles, compare_files
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.identity import canonical_json
from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.plan import Matrix
from ctrbench.schema import Cell, CellRecord, DatasetManifest, Metrics
from ctrbench.stats import Inference, Measured, Verdict, infer, pair
from ctrbench.store import Store
from ctrbench.workspace import Workspace

Gate = Literal["worse", "not-better"]
SAME = ("data_hash", "protocol")  # must be equal
CONDITIONS = ("model", "training")  # must be equal unless the caller allows differences


@dataclass(frozen=True)
class StoredArm:
    """The finished cells of an arm."""

    name: str
    seeds: Mapping[int, CellRecord]  # at least one

    @property
    def first(self) -> CellRecord:
        """Return one of its cells; all have the same data, protocol and settings."""
        return next(iter(self.seeds.values()))


@dataclass(frozen=True)
class Compared:
    """Two arms on the same impressions. A positive estimate means that A is better."""

    a: str
    b: str
    metric: str
    test: Metrics  # of one cell; the counts are the same for all cells
    inference: Inference
    differing: tuple[str, ...]  # conditions in which the arms differ
    value: float  # the metric of A, mean over seeds
    reference: float  # the metric of B, mean over seeds
    files: ComparedFiles | None = None  # further results of files of predictions

    @property
    def less_is_better(self) -> bool:
        """Whether the sign of the difference was reversed."""
        return find(self.metric).less_is_better

    @property
    def below_chance(self) -> bool:
        """Whether B ranks worse than chance, so that no verdict is given."""
        chance = find(self.metric).chance
        return chance is not None and self.reference < chance


@dataclass(frozen=True)
class Decision(Displayed, view="comparisons.show"):
    """The verdict on a comparison of two arms, and the outcome of a gate."""

    compared: Compared
    margin: float  # a fraction; a smaller loss is acceptable
    verdict: Verdict | None  # None: B ranks worse than chance
    gate: Gate | None = None
    failed: bool = False  # of the gate
    probability_better: float | None = None  # that the true difference is above 0


def decide(found: Compared, margin: float, gate: Gate | None = None) -> Decision:
    """Return the verdict on A, and whether it fails a gate.

    The gate `worse` fails if A is worse, unless the interval excludes a loss of the margin. The
    gate `not-better` fails unless A is better. If B is below chance, both gates fail.

    Args:
        found: The comparison of two arms.
        margin: >= 0, a fraction; a smaller loss is acceptable.
        gate: The gate; None: there is none.
    """
    inference = found.inference
    verdict = None if found.below_chance else inference.verdict(margin)
    if verdict is None:
        failed = True
    elif gate == "worse":
        failed = inference.high < 0 and inference.low <= -margin
    else:
        failed = inference.low <= 0
    better = None if verdict is None else inference.probability_above
    return Decision(found, margin, verdict, gate, gate is not None and failed, better)


def matrix_cells(matrix: Matrix, name: str) -> list[Cell]:
    """Return the cells of one arm of a matrix, one per seed.

    Args:
        matrix: The matrix, which determines the settings.
        name: `VERSION/MODE`, or a baseline such as `none` or `none epochs=2`.

    Raises:
        UnknownNameError: The matrix has no such arm.
    """
    places = {f"{row.label}/{c.label}": (row, c) for row, c in matrix.places()}
    places |= {f"{BASELINE} {c.trained}".rstrip(): (None, c) for c in matrix.columns}
    if name in (BASELINE, f"{BASELINE}/{BASELINE}"):
        place = (None, None)
    elif name in places:
        place = places[name]
    else:
        raise UnknownNameError("arm of the matrix", name, {BASELINE, *places})
    return [matrix.cell(*place, seed) for seed in matrix.file.seeds]


def matrix_arm(matrix: Matrix, records: Mapping[str, CellRecord], name: str) -> StoredArm:
    """Return one arm of a matrix.

    Args:
        matrix: The matrix, which determines the settings.
        records: Stored records by cell hash, including those of the arm.
        name: As in `matrix_cells`.

    Raises:
        DataError: None of its cells is finished.
        UnknownNameError: The matrix has no such arm.
    """
    hashes = [cell.hash for cell in matrix_cells(matrix, name)]
    return _finished(name, [records[hash] for hash in hashes if hash in records])


def stored_arms(workspace: Workspace, a: str, b: str) -> tuple[StoredArm, StoredArm]:
    """Return two stored arms, with equal settings if exactly one pair of settings is equal.

    Args:
        workspace: The workspace that holds the results.
        a: `DATASET/VERSION/MODE`.
        b: The same for the other arm.

    Raises:
        ConfigError: A name is not such a path, or an arm is stored with several settings.
        DataError: An arm has no finished cell.
        UnknownNameError: Nothing is stored under a name.
    """
    ours, theirs = _with_equal_settings((a, b), [_of_store(workspace, name) for name in (a, b)])
    return ours, theirs


def compare_arms(
    workspace: Workspace,
    ours: StoredArm,
    theirs: StoredArm,
    metric: str,
    any_settings: bool = False,
) -> Compared:
    """Return the paired difference of two stored arms, with a pointwise interval.

    Args:
        workspace: The workspace that holds the results.
        ours: The arm that may be shipped.
        theirs: The arm it is compared with.
        metric: Name of a metric with intervals.
        any_settings: Whether model and training settings may differ.

    Raises:
        ConfigError: The settings of the arms differ.
        DataError: The arms differ in test impressions or protocol, share no seed, or the metric is
            not defined on them.
    """
    a, b = ours.name, theirs.name
    one, other = ours.first, theirs.first
    _require_same(workspace, a, b, one, other)
    differing = tuple(
        f"{name} {_shown(one, name)} and {_shown(other, name)}"
        for name in CONDITIONS
        if getattr(one.cell, name) != getattr(other.cell, name)
    )
    if differing and not any_settings:
        raise ConfigError(
            f"{a} and {b} have different settings: {'; '.join(differing)} (only non-default "
            "values). The settings may cause the difference; --any-settings compares the arms "
            "regardless."
        )
    sides = [_measured(Store(workspace), arm, metric) for arm in (ours, theirs)]
    contrast = pair(sides[0], sides[1])
    if contrast is None:
        raise DataError(_why_not((ours, theirs), sides, metric))
    if find(metric).less_is_better:
        contrast = contrast.reversed()
    (inference,) = infer([contrast])
    if math.isnan(inference.low):
        raise DataError(f"{metric} is defined for a single user only, so it has no interval.")
    value, reference = (fmean(side.values[seed] for seed in contrast.seeds) for side in sides)
    test = one.metrics["test"]
    return Compared(a, b, metric, test, inference, differing, value, reference)


def compare_predictions(
    a: str, b: str, metric: str, scores: bool = False, ignore: tuple[str, ...] = ()
) -> Compared:
    """Return the paired difference of two files of predictions.

    Args:
        a: File of the arm that may be shipped.
        b: File of the arm it is compared with.
        metric: Name of a metric with intervals.
        scores: Whether predictions may be any scores, of which only the order matters.
        ignore: Columns of the files to ignore.

    Raises:
        ConfigError: A file does not exist or lacks a column, or the metric needs probabilities and
            `scores` is set.
        DataError: The files are not of the same impressions, or predictions are invalid.
    """
    found = compare_files(a, b, metric, scores, ignore)
    reverse = find(metric).less_is_better
    inference = found.inference.reversed() if reverse else found.inference
    return Compared(a, b, metric, found.counts, inference, (), found.value, found.reference, found)


def _of_store(workspace: Workspace, name: str) -> list[list[CellRecord]]:
    """Return the stored cells of `DATASET/VERSION/MODE`, grouped by settings."""
    dataset, _, place = name.partition("/")
    version, _, mode = place.partition("/")
    if not version or not dataset or {".", ".."} & set(name.split("/")):
        raise ConfigError(
            f"{name!r} is not the name of an arm: give DATASET/VERSION/MODE, or --file and "
            "VERSION/MODE."
        )
    mode = mode or (BASELINE if version == BASELINE else "")
    records = list(Store(workspace).records(dataset))
    known = sorted(
        {f"{dataset}/{record.cell.version_label}/{record.cell.mode}" for record in records}
    )
    groups: dict[str, list[CellRecord]] = {}
    for record in records:
        cell = record.cell
        if (cell.version_label, cell.mode) == (version, mode) and not cell.repeat:
            kind = canonical_json(cell.model_dump(mode="json", exclude={"seed"}))
            groups.setdefault(kind, []).append(record)
    if not groups:
        raise UnknownNameError("stored arm", name, known, f"Looked in {workspace.results}.")
    return list(groups.values())


def _with_equal_settings(
    names: tuple[str, str], kinds: list[list[list[CellRecord]]]
) -> list[StoredArm]:
    """Return for each arm its only settings, or those of the only pair with equal settings."""
    pairs = [
        (ours, theirs)
        for ours in kinds[0]
        for theirs in kinds[1]
        if all(getattr(ours[0].cell, x) == getattr(theirs[0].cell, x) for x in (*SAME, *CONDITIONS))
    ]
    same_data = any(
        all(getattr(ours[0].cell, x) == getattr(theirs[0].cell, x) for x in SAME)
        for ours in kinds[0]
        for theirs in kinds[1]
    )
    if len(pairs) != 1 and same_data:
        for name, groups in zip(names, kinds, strict=True):
            if len(groups) > 1:
                listed = "; ".join(_settings(group[0]) for group in groups)
                raise ConfigError(
                    f"{name} is stored with {len(groups)} different settings ({listed}); select "
                    "one with --file FILE, a benchmark file."
                )
    if len(pairs) != 1:  # data or protocol differ, which the next check reports
        pairs = [(kinds[0][0], kinds[1][0])]
    return [_finished(name, arm) for name, arm in zip(names, pairs[0], strict=True)]


def _settings(record: CellRecord) -> str:
    cell = record.cell
    parts = {**cell.mode_settings, **cell.training, **cell.model}
    text = ", ".join(f"{key} {value}" for key, value in parts.items()) or "default settings"
    return f"{text}, protocol {cell.protocol}, revision {cell.mode_revision} of the mode"


def _finished(name: str, records: list[CellRecord]) -> StoredArm:
    done = {record.cell.seed: record for record in records if record.status == "done"}
    if not done:
        raise DataError(f"{name} has no finished cell; run its benchmark file first.")
    return StoredArm(name, done)


def _require_same(workspace: Workspace, a: str, b: str, one: CellRecord, other: CellRecord) -> None:
    """Raise DataError if test impressions, label rule or protocol differ."""
    differing: list[str] = []
    if one.cell.protocol != other.cell.protocol:
        differing.append(f"protocol {one.cell.protocol} and {other.cell.protocol}")
    if one.cell.data_hash != other.cell.data_hash:
        differing += _data_differences(workspace, one.cell, other.cell)
    if differing:
        raise DataError(
            f"{a} and {b} cannot be compared, because they differ: {'; '.join(differing)}. Both "
            "arms require the same test impressions, label rule and protocol."
        )


def _data_differences(workspace: Workspace, one: Cell, other: Cell) -> list[str]:
    """Return the differences of two data sets, by content hash if one is not described."""
    found: list[str] = []
    if one.dataset != other.dataset:
        found.append(f"data set {one.dataset} and {other.dataset}")
    store = Store(workspace)
    summaries = [store.read_summary(cell.dataset, cell.outcome) for cell in (one, other)]
    known = [summary.manifest for summary in summaries if summary is not None]
    if [manifest.content_hash for manifest in known] == [one.data_hash, other.data_hash]:
        ours, theirs = map(_described, known)
        found += [
            f"{name} {value} and {theirs[name]}"
            for name, value in ours.items()
            if value != theirs[name]
        ]
    return [*found, f"content {one.data_hash} and {other.data_hash}"]


def _described(manifest: DatasetManifest) -> dict[str, str]:
    """Return the facts in which two data sets may differ."""
    return {
        "label": repr(manifest.label),
        "split": str(manifest.split),
        "snapshot": manifest.snapshot,
        "test impressions": "{} to {}".format(*manifest.periods.get("test", (0, 0))),
        "users": str(manifest.counts["users"]),
    }


def _measured(store: Store, arm: StoredArm, metric: str) -> Measured:
    values = {seed: record.metrics["test"].value(metric) for seed, record in arm.seeds.items()}
    return measured(
        arm.name,
        f"test/{metric}",
        {
            seed: (value, store.influence(arm.seeds[seed].cell))
            for seed, value in values.items()
            if value is not None
        },
        find(metric),
    )


def _why_not(arms: Sequence[StoredArm], sides: Sequence[Measured], metric: str) -> str:
    for arm, side in zip(arms, sides, strict=True):
        if not side.influence and all(
            r.metrics["test"].value(metric) is None for r in arm.seeds.values()
        ):
            if any(metric not in r.metrics["test"].values for r in arm.seeds.values()):
                return (
                    f"{metric} is not among the stored metrics of {arm.name}. Compare arms of a "
                    "benchmark file with --file FILE, which computes it from stored predictions."
                )
            return f"{metric} of {arm.name} is not defined: {find(metric).requires}."
        if not side.influence:
            return f"{arm.name} has neither influence values nor predictions to compute them from."
    a, b = (f"{arm.name} (seeds {', '.join(map(str, sorted(arm.seeds)))})" for arm in arms)
    return f"{a} and {b} share no seed."


def _shown(record: CellRecord, name: str) -> str:
    return canonical_json(getattr(record.cell, name))
