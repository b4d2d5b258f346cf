"""The gain of each version of a data set, by the date on which the version was added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from ctrbench import controls
from ctrbench.analysis.answer import KINDS, Answer, answer
from ctrbench.analysis.comparison import Arm, Measure, TablePlan, gather
from ctrbench.analysis.conditions import MARK
from ctrbench.analysis.judging import arm_measured
from ctrbench.analysis.measured import Influences
from ctrbench.analysis.shown import Place, Shown, dates, places_of
from ctrbench.analysis.stored_versions import StoredVersions
from ctrbench.analysis.table import compare
from ctrbench.display import Displayed
from ctrbench.errors import CtrBenchError, DataError
from ctrbench.identity import hash_json
from ctrbench.injection import BASELINE, load_mode
from ctrbench.plan import PROTOCOL, BenchmarkFile, Column, Matrix, Row
from ctrbench.printable import counted
from ctrbench.schema import Cell, CellRecord, VersionManifest
from ctrbench.settings import TrainingSettings
from ctrbench.stats import Inference, infer, pair, parse_points
from ctrbench.stats.contrast import Contrast, user_variance

NAMED = 4  # maximum number of arms or versions that one sentence names
UNKNOWN_DATE = datetime.min.replace(tzinfo=UTC)  # before all others


@dataclass(frozen=True)
class VersionStep:
    """The newest version minus an earlier one, under the same mode, data and seeds."""

    earlier: str
    difference: Inference  # simultaneous over all steps of the newest version


@dataclass(frozen=True)
class Newest:
    """The gains of the newest version, under the mode with its largest gain."""

    version: str
    column: Column
    gain: Inference  # over the baseline
    before: VersionStep | None  # None: there is no earlier version, or the two share no seed
    best: VersionStep | None  # against the earlier version with the largest gain
    steps: int  # comparisons of the newest version that share one simultaneous level


@dataclass(frozen=True)
class VersionHistory(Displayed, view="history.show"):
    """The versions of one data set that are judged together."""

    dataset: str
    content: Shown  # table, places and dates; figures draw it
    versions: tuple[str, ...]  # the oldest first; those without a date come first
    newest: Newest | None  # None: the newest version has no interval under any mode
    settings: tuple[str, ...]  # a sentence per mode
    margin: float  # a fraction; a smaller loss is acceptable

    @property
    def line(self) -> str:
        """Return the result of the newest version as one sentence."""
        if self.newest is None:
            return f"{self.versions[-1]}, the newest version, has no interval yet."
        found = self.newest
        text = f"{found.version}, the newest version, under {found.column.label}: "
        text += f"{_points(found.gain)} over the baseline"
        if found.before is None and found.best is None:
            return f"{text}; no earlier version can be compared with it."
        names = [(found.before, "the one before"), (found.best, "the best so far")]
        if found.before == found.best:
            names = [(found.before, "the one before and the best so far")]
        for step, name in names:
            if step is not None:
                verdict = _verdict(step.difference, self.margin)
                text += f"; {_points(step.difference)} over {step.earlier}, {name} ({verdict})"
        return text + "."

    @property
    def notes(self) -> tuple[str, ...]:
        """Return sentences on how to read the intervals."""
        table, steps = self.content.table, self.newest.steps if self.newest else 0
        judged = len(table.verdicts.lines) if table.verdicts else 0
        text = [
            f"Intervals are 95 % confidence intervals. The {judged} deltas share one simultaneous "
            f"level. The {steps} comparisons of the newest version with an earlier one share "
            "another."
        ]
        if len(table.seeds) == 1:
            text.append(f"One seed ({table.seeds[0]}): intervals do not account for seed variance.")
        return tuple(text)

    @property
    def differing(self) -> tuple[str, ...]:
        """Return one sentence per version that was trained under other conditions."""
        return tuple(one.text for one in self.content.table.footnotes if one.mark == MARK)

    def verdict(self, place: Place) -> str:
        """Return the verdict on one version under one mode; empty if there is none."""
        for found in self.content.answer.findings:
            if (found.row, found.column) == (place.row, place.column):
                return KINDS[found.kind]
        return ""

    def plain(self) -> dict[str, Any]:
        """Return the history with a dict per version and mode."""
        return {
            "dataset": self.dataset,
            "metric": self.content.metric,
            "answer": self.line,
            "newest": self.newest
            and {
                "version": self.newest.version,
                "mode": self.newest.column.label,
                "before": self.newest.before,
                "best": self.newest.best,
            },
            "versions": [
                {
                    "version": place.row.version,
                    "added": (at := self.content.added.get(place.row.version)) and at.isoformat(),
                    "mode": place.column.label,
                    "status": place.status,
                    "verdict": self.verdict(place),
                    "gain": place.gain,
                    "images": place.images,
                }
                for place in self.content.places
                if place.row.control is None
            ],
            "settings": self.settings,
            "notes": self.notes,
            "differing": self.differing,
            "missing": self.content.missing,
            "warnings": self.content.table.warnings,
        }


@dataclass(frozen=True)
class _Group:
    """The stored cells of one mode under one set of settings."""

    column: Column
    conditions: str  # hash of the settings of model and training
    example: Cell
    cells: Mapping[Row, Mapping[int, CellRecord]]
    seeds: tuple[int, ...]

    @property
    def versions(self) -> list[str]:
        return [row.version for row in self.cells if row.control is None]


def history(stored: StoredVersions, effect: float, matrix: Matrix | None = None) -> VersionHistory:
    """Return the versions of a data set over time.

    All stored versions are judged together, so their intervals are simultaneous. Each mode is
    shown under one set of settings.

    Args:
        stored: The stored cells and manifests of the data set.
        effect: > 0, a fraction; the smallest effect of interest.
        matrix: The matrix whose settings, seeds and headline are shown. None: each mode is shown
            under the settings with which most versions were run.

    Raises:
        DataError: No version can be shown.
    """
    left_out: Counter[str] = Counter()
    kept = list(_current(stored, left_out))
    baselines: dict[str, dict[int, CellRecord]] = {}
    for record in kept:
        if record.cell.version is None:
            own = baselines.setdefault(_conditions(record.cell), {})
            own[record.cell.seed] = record
    groups = _groups(kept, matrix, stored.versions, left_out)
    chosen = _chosen(groups, baselines) if matrix is None else groups
    if not any(group.versions for group in chosen):
        raise DataError(_nothing(stored, left_out))
    chosen = _trained(chosen) if matrix is None else chosen
    added = _added(stored, chosen)
    order = sorted(
        {version for group in chosen for version in group.versions},
        key=lambda version: (added.get(version, UNKNOWN_DATE), version),
    )
    plan = _plan(stored, chosen, baselines, order, matrix)
    records = {record.hash: record for record in kept}
    wanted = {
        *plan.cells.values(),
        *(key for own in plan.baselines.values() for key in own.values()),
    }
    headline = Measure(plan.headline).key
    influences = {
        key: {
            name: values
            for name, values in stored.influence(records[key].cell).items()
            if f"/{headline}/" in f"/{name}/"  # includes its item sums and probes
        }
        for key in sorted(wanted)
        if key in records
    }
    table = compare(plan, records, influences)
    found = answer(table.blocks, table.columns, plan.margin, effect)
    content = Shown(
        table=replace(table, answer=found),
        places=places_of(table),
        learning=(),
        codes=(),
        costs=(),
        health=(),
        missing=tuple(_missing(stored, chosen, groups, baselines, order, added, left_out)),
        quality={},
        added=added,
    )
    newest = _newest(plan, records, influences, found, order)
    settings = tuple(map(_settings, chosen))
    return VersionHistory(stored.dataset.name, content, tuple(order), newest, settings, plan.margin)


def _current(stored: StoredVersions, left_out: Counter[str]) -> Iterator[CellRecord]:
    """Yield the cells of this protocol, data set and vectors; count the others by reason."""
    reads = {_mode_key(one.cell): one.cell for one in stored.records}
    fields = {key: _fields(cell) for key, cell in reads.items()}
    vectors: dict[tuple[str, tuple[str | None, ...]], str] = {}  # by version and fields
    latest: dict[tuple[str, tuple[str | None, ...]], str] = {}  # without a manifest -> last cell
    for record in stored.records:
        version, hash = record.cell.version, record.cell.vectors_hash
        if version is None or hash is None:
            continue
        place, manifest = (version, fields[_mode_key(record.cell)]), stored.versions.get(version)
        if manifest is not None:
            if all(one is None or one in manifest.field_names for one in place[1]):
                vectors[place] = manifest.hash_of(place[1])
        elif record.finished >= latest.get(place, ""):
            latest[place], vectors[place] = record.finished, hash
    found = {str(one): one for r in stored.records if (one := r.cell.control) is not None}
    shown = {"None", *(name for name, one in found.items() if controls.is_sibling(one))}
    for record in stored.records:
        cell = record.cell
        if cell.protocol != PROTOCOL:
            left_out[f"protocol {cell.protocol} (this is protocol {PROTOCOL})"] += 1
        elif cell.data_hash != stored.dataset.content_hash:
            left_out["another import of the data set"] += 1
        elif cell.version is not None and cell.vectors_hash != vectors.get(
            (cell.version, fields[_mode_key(cell)])
        ):
            left_out[f"other vectors that were once named {cell.version}"] += 1
        elif not cell.repeat and str(cell.control) in shown:
            yield record


def _mode_key(cell: Cell) -> str:
    return hash_json([cell.mode, cell.mode_settings])


def _fields(cell: Cell) -> tuple[str | None, ...]:
    """Return the vector fields that a cell reads; the first one if the mode is unknown here."""
    try:
        return load_mode(cell.mode, cell.mode_settings).reads
    except CtrBenchError:
        return (None,)


def _conditions(cell: Cell) -> str:
    return hash_json([cell.model, cell.training])


def _kind(cell: Cell) -> str:
    return hash_json([cell.mode, cell.mode_revision, cell.mode_settings, _conditions(cell)])


def _kind_of(matrix: Matrix, row: Row, column: Column) -> str | None:
    """Return the settings of the cells of a row; None without a manifest or the field."""
    manifest = matrix.versions.get(row.version)
    known = () if manifest is None else (None, *manifest.field_names)
    if not all(field in known for field in column.settings.reads):
        return None
    return _kind(matrix.cell(row, column, matrix.file.seeds[0]))


def _groups(
    records: Iterable[CellRecord],
    matrix: Matrix | None,
    versions: Mapping[str, VersionManifest],
    left_out: Counter[str],
) -> list[_Group]:
    """Return the cells by settings; with a matrix, only its settings, in its order."""
    found: dict[str, dict[Row, dict[int, CellRecord]]] = {}
    for record in records:
        cell = record.cell
        if cell.version is not None:
            own = found.setdefault(_kind(cell), {}).setdefault(Row(cell.version, cell.control), {})
            own[cell.seed] = record
    if matrix is not None:
        groups: list[_Group] = []
        seeds, every = matrix.file.seeds, replace(matrix, versions={**versions, **matrix.versions})
        # settings of codebooks do not apply to versions of codes
        row = min(matrix.rows, key=lambda one: matrix.versions[one.version].kind == "codes")
        rows = sorted({row for own in found.values() for row in own}, key=str)
        for column in matrix.columns:
            cell = matrix.cell(row, column, seeds[0])
            kinds = {one: _kind_of(every, one, column) or _kind(cell) for one in rows}
            cells = {one: own[one] for one in rows if one in (own := found.get(kinds[one], {}))}
            groups.append(_Group(column, _conditions(cell), cell, _of_seeds(cells, seeds), seeds))
        return groups
    made = (_group(cells, left_out) for _, cells in sorted(found.items()))
    return [group for group in made if group is not None]


def _group(cells: Mapping[Row, Mapping[int, CellRecord]], left_out: Counter[str]) -> _Group | None:
    """Return None, and count the cells, if the mode is unknown or has another revision."""
    example = next(iter(next(iter(cells.values())).values())).cell
    count = sum(map(len, cells.values()))
    try:
        settings = load_mode(example.mode, example.mode_settings)
        training = TrainingSettings.model_validate(example.training)
    except (CtrBenchError, ValidationError):
        left_out[f"{example.mode} with settings unknown to this installation"] += count
        return None
    if settings.revision != example.mode_revision:
        left_out[f"revision {example.mode_revision} of {example.mode}"] += count
        return None
    column = Column(example.mode, settings, example.mode, training)
    seeds = _shared_seeds(cells)
    return _Group(column, _conditions(example), example, _of_seeds(cells, seeds), seeds)


def _shared_seeds(cells: Mapping[Row, Mapping[int, CellRecord]]) -> tuple[int, ...]:
    """Return the set of seeds that most versions were run with; on ties, the larger set."""
    sets = Counter(tuple(sorted(own)) for row, own in cells.items() if row.control is None)
    sets = sets or Counter(tuple(sorted(own)) for own in cells.values())
    return max(sets, key=lambda seeds: (sets[seeds], len(seeds), seeds))


def _of_seeds(
    cells: Mapping[Row, Mapping[int, CellRecord]], seeds: Sequence[int]
) -> dict[Row, dict[int, CellRecord]]:
    kept = {row: {s: own[s] for s in seeds if s in own} for row, own in cells.items()}
    return {row: own for row, own in kept.items() if own}


def _chosen(
    groups: Iterable[_Group], baselines: Mapping[str, Mapping[int, CellRecord]]
) -> list[_Group]:
    """Return for each mode the settings with most versions, preferring those with a baseline."""

    def rank(group: _Group) -> tuple[Any, ...]:
        judged = bool(baselines.get(group.conditions, {}).keys() & set(group.seeds))
        last = max(r.finished for own in group.cells.values() for r in own.values())
        return judged, len(group.versions), len(group.seeds), last

    best: dict[str, _Group] = {}
    for group in groups:
        mode = group.column.mode
        if mode not in best or rank(group) > rank(best[mode]):
            best[mode] = group
    return [group for _, group in sorted(best.items())]


def _trained(groups: Sequence[_Group]) -> list[_Group]:
    """Return columns labelled by the model and training settings in which they differ."""
    flat = [_flat(group.example) for group in groups]
    keys = sorted({key for own in flat for key in own})
    varying = [key for key in keys if len({str(own.get(key)) for own in flat}) > 1]
    found: list[_Group] = []
    for group, own in zip(groups, flat, strict=True):
        column = group.column
        text = " ".join(f"{key}={own.get(key, 'default')}" for key in varying)
        column = Column(column.mode, column.settings, column.label, column.training, text)
        found.append(_Group(column, group.conditions, group.example, group.cells, group.seeds))
    return found


def _flat(cell: Cell) -> dict[str, Any]:
    return {**cell.model, **cell.training}


def _added(stored: StoredVersions, groups: Iterable[_Group]) -> dict[str, datetime]:
    """Return when each version was added, if its manifest is stored and has a date."""
    versions = {version for group in groups for version in group.versions}
    return dates({v: stored.versions[v].created for v in versions if v in stored.versions})


def _plan(
    stored: StoredVersions,
    groups: Sequence[_Group],
    baselines: Mapping[str, Mapping[int, CellRecord]],
    order: Sequence[str],
    matrix: Matrix | None,
) -> TablePlan:
    siblings = {row for group in groups for row in group.cells if row.control is not None}
    rows = [Row(version) for version in order]
    rows += sorted(siblings & {Row(one, row.control) for one in order for row in siblings}, key=str)
    file = matrix.file if matrix is not None else None
    fields = BenchmarkFile.model_fields
    margin = file.margin if file is not None else fields["margin"].default
    return TablePlan(
        dataset=stored.dataset,
        headline=file.headline if file is not None else fields["headline"].default,
        columns=tuple(group.column for group in groups),
        rows=tuple(rows),
        seeds=tuple(sorted({seed for group in groups for seed in group.seeds})),
        cells={
            (row, group.column, seed): record.hash
            for group in groups
            for row, own in group.cells.items()
            for seed, record in own.items()
        },
        baselines={
            group.column.trained: {
                seed: record.hash
                for seed, record in sorted(baselines.get(group.conditions, {}).items())
            }
            for group in groups
        },
        reference=stored.reference,
        margin=parse_points(margin, "margin"),
    )


def _newest(
    plan: TablePlan,
    records: Mapping[str, CellRecord],
    influences: Influences,
    found: Answer,
    order: Sequence[str],
) -> Newest | None:
    """Return the comparisons of the newest version with every earlier one, as one family."""
    version = order[-1]
    gains = {(one.row.version, one.column): one.gain for one in found.findings}
    own = {column: gains[version, column] for column in plan.columns if (version, column) in gains}
    if not own:
        return None
    arms, headline = gather(plan, records), Measure(plan.headline)
    contrasts: dict[tuple[Column, str], Contrast] = {}
    for column in own:
        ours = arms.cells[Row(version), column]
        for earlier in order[:-1]:
            made = _between(ours, arms.cells[Row(earlier), column], headline, influences)
            if made is not None:
                contrasts[column, earlier] = made
    judged = dict(zip(contrasts, infer(list(contrasts.values())), strict=True))
    column = max(own, key=lambda one: own[one].estimate)
    steps = {
        earlier: VersionStep(earlier, one) for (c, earlier), one in judged.items() if c == column
    }
    ranked = [one for one in steps if (one, column) in gains]
    best = max(ranked, key=lambda one: gains[one, column].estimate, default=None)
    before = order[-2] if len(order) > 1 else None
    return Newest(
        version,
        column,
        own[column],
        steps.get(before) if before is not None else None,
        steps[best] if best is not None else None,
        len(judged),
    )


def _between(ours: Arm, theirs: Arm, measure: Measure, influences: Influences) -> Contrast | None:
    """Return the contrast of two versions; None if they share no seed or have one user."""
    kind = f"{ours.column.label if ours.column else BASELINE} between versions"
    sides = (arm_measured(one, measure, influences) for one in (ours, theirs))
    contrast = pair(*sides, kind=kind, against="version")
    if contrast is None or math.isnan(user_variance(contrast)):
        return None
    return contrast


def _missing(
    stored: StoredVersions,
    groups: Sequence[_Group],
    every: Sequence[_Group],
    baselines: Mapping[str, Mapping[int, CellRecord]],
    order: Sequence[str],
    added: Mapping[str, datetime],
    left_out: Counter[str],
) -> Iterator[str]:
    """Yield one sentence per group of results that are not shown, with the reason."""
    undated = [version for version in order if version not in added]
    if undated:
        yield (
            f"Versions whose manifest is missing or has no date: {_named(undated)}. They are first "
            "in the table and are not in the figure."
        )
    unrun = sorted(set(stored.versions) - set(order))
    if unrun:
        yield f"No cell of {_named(unrun)} has these settings; run a file that names them."
    absent: list[str] = []
    failed: list[str] = []
    for group in groups:
        if not group.versions:
            yield f"{group.column.label}: no cell is stored with the settings of the file."
            continue
        own = baselines.get(group.conditions, {})
        if not any(own[seed].status == "done" for seed in group.seeds if seed in own):
            yield (
                f"{group.column.label} has no stored baseline with the same settings and seeds, so "
                "it cannot be judged."
            )
        for row, cells in group.cells.items():
            name = f"{row.label} / {group.column.label}"
            if seeds := [seed for seed in group.seeds if seed not in cells]:
                absent.append(f"{name} (seeds {', '.join(map(str, seeds))})")
            failed += [
                f"{name} (seed {seed})"
                for seed, record in sorted(cells.items())
                if record.status == "failed"
            ]
    if absent:
        arms = counted(len(absent), "arm is", "arms are")
        yield f"Cells of {arms} not stored: {_named(absent, '; ')}."
    if failed:
        yield f"{counted(len(failed), 'cell')} failed: {_named(failed, '; ')}."
    for group in groups:
        others = [one for one in every if one.column.mode == group.column.mode]
        count = len(others) - 1
        if count > 0 and every is not groups:
            most = max(len(o.versions) for o in others if o.example != group.example)
            settings = "set of settings is" if count == 1 else "sets of settings are"
            yield (
                f"{group.column.label}: {count} other {settings} stored, with at most "
                f"{counted(most, 'version')}; `--file FILE` shows those of a benchmark file."
            )
    for what, count in sorted(left_out.items()):
        yield f"Not shown: {counted(count, 'stored cell')} of {what}."


def _nothing(stored: StoredVersions, left_out: Counter[str]) -> str:
    name = stored.dataset.name
    text = f"no version of data set '{name}' has a cell that can be shown"
    if left_out:
        others = "; ".join(f"{count} of {what}" for what, count in sorted(left_out.items()))
        text += f"; stored cells: {others}"
    return f"{text}. Run `ctrbench run FILE` first."


def _settings(group: _Group) -> str:
    cell = group.example
    parts = {**cell.mode_settings, **_flat(cell)}
    text = ", ".join(f"{key} {value}" for key, value in parts.items())
    seeds = ", ".join(map(str, group.seeds))
    rest = f"{text}; other settings have their defaults" if text else "default settings"
    return f"{group.column.label}: {rest}. Seeds: {seeds}."


def _named(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more


def _points(inference: Inference) -> str:
    estimate, low, high = (
        f"{100 * one:+.2f}" for one in (inference.estimate, inference.low, inference.high)
    )
    return f"{estimate} pp [{low}, {high}]"


def _verdict(inference: Inference, margin: float) -> str:
    text = inference.verdict(margin)
    if text == "no worse":
        return f"no worse by more than {100 * margin:g} pp"
    return "not decided" if text == "inconclusive" else text
