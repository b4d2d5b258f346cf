"""The content of a report page and its figures, from stored records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ctrbench.analysis.answer import Answer
from ctrbench.analysis.blocks import BASELINE_TITLE, headline
from ctrbench.analysis.comparison import Comparison
from ctrbench.analysis.curves import SettingCurve, curves_along
from ctrbench.analysis.matrices import Records, comparison_table
from ctrbench.analysis.table import ComparisonTable
from ctrbench.errors import DataError
from ctrbench.plan import PROTOCOL, Column, Matrix, Row
from ctrbench.printable import counted
from ctrbench.schema import CellRecord
from ctrbench.stats import Inference
from ctrbench.store import Store
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.quality import Quality

    # by version and vector field as the modes name it; None is the first field
    Qualities = Mapping[tuple[str, str | None], Quality]

NAMED = 4  # maximum number of arms that one sentence names
CODES = "codebook_size"  # the setting along which curves are drawn
HEALTH = {  # key of a fact that modes report -> display name
    "codes_used": "codes in use, share",
    "largest_code": "items in largest code, share",
    "code_entropy_bits": "entropy of codes, bits",
    "collisions": "colliding items, share",
}


@dataclass(frozen=True)
class Place:
    """One version or control under one mode, with its headline deltas."""

    row: Row
    column: Column
    gain: Inference | None  # over the baseline; None: not stored
    images: tuple[Inference, ...] = ()  # over each shuffled sibling that was run
    status: str = "done"  # done, failed or missing

    @property
    def label(self) -> str:
        """Return the display name of the arm."""
        return f"{self.row.label} / {self.column.label}"


@dataclass(frozen=True)
class Learning:
    """The learning curve of one arm minus that of its baseline, mean over common seeds."""

    row: Row
    column: Column
    impressions: tuple[int, ...]  # seen so far
    auc_pp: tuple[float, ...]  # progressive AUC minus the baseline's, percentage points


@dataclass(frozen=True)
class TrainingCost:
    """The cost of one arm, mean over its stored cells."""

    place: Place
    train_s: float | None
    parameters: float  # minus those of the baseline
    memory_bytes: float


@dataclass(frozen=True)
class Health:
    """Use of the codebook of one arm, mean over its stored cells."""

    place: Place
    facts: Mapping[str, float]  # by key of `HEALTH`


@dataclass(frozen=True)
class Shown:
    """The results that a page shows. Figures draw them and compute nothing."""

    table: ComparisonTable
    places: tuple[Place, ...]  # in the order of the table
    learning: tuple[Learning, ...]
    codes: tuple[SettingCurve, ...]  # of versions whose number of codes varies
    costs: tuple[TrainingCost, ...]
    health: tuple[Health, ...]
    missing: tuple[str, ...]  # sentences on results that are not stored or not shown
    quality: Qualities  # empty if the vectors are not in the workspace
    slices: Mapping[str, str] = field(default_factory=dict[str, str])  # titles by key
    added: Mapping[str, datetime] = field(default_factory=dict[str, datetime])  # by version

    @property
    def answer(self) -> Answer:
        """Return the recommendation."""
        return self.table.answer

    @property
    def metric(self) -> str:
        """Return the display name of the headline metric."""
        return self.answer.metric


def shown(
    workspace: Workspace,
    matrix: Matrix,
    records: Records,
    quality: Qualities | None = None,
    looks: int = 1,
) -> Shown:
    """Return the content of a report on a matrix.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: The stored records of its cells, by cell hash.
        quality: The measured quality, see `qualities`; may lack versions.
        looks: Number of planned analyses, see `TablePlan.looks`.

    Raises:
        DataError: No cell of the matrix is stored.
    """
    if not any(record.status == "done" for record in records.values()):
        raise DataError(
            f"no finished cell of this matrix is stored in {workspace.results}; run "
            "`ctrbench run FILE` first."
        )
    table = comparison_table(workspace, matrix, records, looks)
    places = places_of(table)
    added = dates({name: one.created for name, one in matrix.versions.items()})
    days = {at.date() for at in added.values()}
    return Shown(
        table=table,
        places=places,
        learning=tuple(_learning(matrix, records, places)),
        codes=tuple(_codes(matrix, places)),
        costs=tuple(_costs(matrix, records, places)),
        health=tuple(_health(matrix, records, places)),
        missing=tuple(_missing(workspace, matrix, records)),
        quality=quality or {},
        slices={part.key: part.title for part in matrix.file.slices},
        added=added if len(days) > 1 else {},
    )


def dates(created: Mapping[str, str]) -> dict[str, datetime]:
    """Return when each version was added; versions without a valid date are left out.

    Args:
        created: ISO 8601 date by version.

    >>> dates({"v1": "2026-01-31T12:00:00Z", "v2": ""})
    {'v1': datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)}
    """
    found: dict[str, datetime] = {}
    for version, text in created.items():
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            continue
        found[version] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return found


def places_of(table: ComparisonTable) -> tuple[Place, ...]:
    """Return every version and control under every mode, in the order of the table."""
    gains, images = headline(table.blocks, "baseline"), headline(table.blocks, "shuffled")
    found: list[Place] = []
    for line in gains.lines if gains else ():
        for index, (column, entry) in enumerate(zip(table.columns, line.entries, strict=True)):
            if line.row is None or line.imported:
                continue
            siblings = [
                inference
                for other in (images.lines if images else ())
                if other.row == line.row
                and (inference := other.entries[index].inference) is not None
            ]
            found.append(Place(line.row, column, entry.inference, tuple(siblings), entry.status))
    return tuple(found)


def _done(
    matrix: Matrix, records: Records, row: Row | None, column: Column
) -> dict[int, CellRecord]:
    """Return the finished cells of an arm by seed."""
    cells = {seed: matrix.cell(row, column, seed).hash for seed in matrix.file.seeds}
    found = {seed: records[key] for seed, key in cells.items() if key in records}
    return {seed: record for seed, record in found.items() if record.status == "done"}


def _learning(matrix: Matrix, records: Records, places: Iterable[Place]) -> Iterable[Learning]:
    for place in places:
        arm = _done(matrix, records, place.row, place.column)
        baseline = _done(matrix, records, None, place.column)
        differences: dict[int, list[float]] = {}
        seeds = sorted(arm.keys() & baseline.keys())
        for seed in seeds:
            reference = {point.impressions: point.auc for point in baseline[seed].curve}
            for point in arm[seed].curve:
                other = reference.get(point.impressions)
                if point.auc is not None and other is not None:
                    own = differences.setdefault(point.impressions, [])
                    own.append(100 * (point.auc - other))
        full = {seen: fmean(own) for seen, own in differences.items() if len(own) == len(seeds)}
        if full:
            points = sorted(full.items())
            seen, auc_pp = zip(*points, strict=True)
            yield Learning(place.row, place.column, seen, auc_pp)


def _codes(matrix: Matrix, places: Iterable[Place]) -> Iterable[SettingCurve]:
    gains = {Comparison(one.row, one.column): one.gain for one in places if one.gain is not None}
    found = curves_along(CODES, matrix.rows, matrix.columns, gains)
    return (curve for curve in found if len(curve.points) > 1)


def _costs(matrix: Matrix, records: Records, places: Iterable[Place]) -> Iterable[TrainingCost]:
    for place in places:
        done = list(_done(matrix, records, place.row, place.column).values())
        baseline = list(_done(matrix, records, None, place.column).values())
        if place.gain is None or not done or not baseline:
            continue
        seconds = [record.seconds["train"] for record in done if "train" in record.seconds]
        yield TrainingCost(
            place,
            fmean(seconds) if seconds else None,
            fmean(one.parameters for one in done) - fmean(one.parameters for one in baseline),
            fmean(one.peak_memory_bytes for one in done),
        )


def _health(matrix: Matrix, records: Records, places: Iterable[Place]) -> Iterable[Health]:
    for place in places:
        done = _done(matrix, records, place.row, place.column).values()
        facts = {
            key: fmean(values)
            for key in HEALTH
            if (values := [one.facts[key] for one in done if key in one.facts])
        }
        if facts:
            yield Health(place, facts)


def _missing(workspace: Workspace, matrix: Matrix, records: Records) -> Iterable[str]:
    arms = [*((None, column) for column in matrix.columns), *matrix.places()]
    absent: list[str] = []
    for row, column in arms:
        seeds = [s for s in matrix.file.seeds if matrix.cell(row, column, s).hash not in records]
        if seeds and (row is not None or column.trained or column is matrix.columns[0]):
            name = f"{row.label} / {column.label}" if row else f"{BASELINE_TITLE} {column.trained}"
            absent.append(f"{name.rstrip()} (seeds {', '.join(map(str, seeds))})")
    if absent:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        arms = counted(len(absent), "arm is", "arms are")
        yield f"Cells of {arms} not stored: {'; '.join(absent[:NAMED])}{more}."
    failed = [record for record in records.values() if record.status == "failed"]
    if failed:
        yield f"{counted(len(failed), 'cell')} failed; the notes give the reasons."
    others: Counter[str] = Counter()
    for record in Store(workspace).records(matrix.dataset.name):
        if record.cell.protocol != PROTOCOL:
            others[f"protocol {record.cell.protocol} (this is protocol {PROTOCOL})"] += 1
        elif record.cell.data_hash != matrix.dataset.content_hash:
            others["another import of the data set"] += 1
    for what, count in sorted(others.items()):
        yield f"Not shown: {counted(count, 'stored cell')} of {what}."


def environments(records: Records) -> dict[str, dict[str, int]]:
    """Return how many cells were trained with each version of each library.

    Args:
        records: The records of a matrix.
    """
    found: dict[str, Counter[str]] = {}
    for record in records.values():
        for key, value in record.environment.items():
            found.setdefault(key, Counter())[value] += 1
    return {key: dict(sorted(values.items())) for key, values in sorted(found.items())}


def settings_of(records: Records) -> dict[str, dict[str, Any]]:
    """Return the settings of the cells of a matrix, by group; several values are listed.

    Args:
        records: The records of a matrix.
    """
    groups: dict[str, dict[str, set[str]]] = {}
    for record in records.values():
        for group in ("model", "training"):
            for key, value in record.settings.get(group, {}).items():
                groups.setdefault(group, {}).setdefault(key, set()).add(str(value))
    return {
        group: {key: ", ".join(sorted(values)) for key, values in own.items()}
        for group, own in groups.items()
    }
