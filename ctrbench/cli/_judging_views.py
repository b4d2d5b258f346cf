"""Stored arms set against each other, and what it takes to tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ctrbench.analysis import joined, measured
from ctrbench.cli._matrix_views import judged
from ctrbench.cli._prediction_files import ComparedFiles, compare_files, is_file
from ctrbench.errors import ConfigError, DataError, UnknownNameError, unknown_name
from ctrbench.identity import canonical_json
from ctrbench.injection import BASELINE
from ctrbench.matrix import read_matrix
from ctrbench.plan import Matrix
from ctrbench.runner import complete, stored_records
from ctrbench.schema import Cell, CellRecord, Metrics
from ctrbench.stats import (
    FEWEST_USERS,
    FEWEST_WORTH,
    METRICS,
    Inference,
    Measured,
    infer,
    need,
    pair,
)
from ctrbench.stats.power import MOST_SEEDS
from ctrbench.store import Store
from ctrbench.workspace import Workspace

LESS_IS_BETTER = ("log_loss",)
CHANCE = 0.5
SAME = ("data_hash", "protocol")  # without which two arms cannot be compared
CONDITIONS = ("model", "training")  # in which two arms must not differ unless it is asked for

Seeds = dict[int, CellRecord]  # the finished cells of an arm


@dataclass(frozen=True)
class Compared:
    """Two arms on the same impressions; a positive estimate says that A is the better one."""

    a: str
    b: str
    metric: str
    test: Metrics  # of one of the cells: its counts hold for all
    inference: Inference
    differing: tuple[str, ...]  # conditions in which the arms were not alike
    value: float  # the metric of A, mean over seeds
    reference: float  # that of B
    files: ComparedFiles | None = None  # what only files of predictions tell

    @property
    def below_chance(self) -> bool:
        """Whether B ranks worse than chance, and so is no reference for a verdict."""
        return self.metric not in LESS_IS_BETTER and self.reference < CHANCE


def comparison(
    workspace: Workspace,
    a: str,
    b: str,
    file: Path | None,
    metric: str,
    any_settings: bool,
    scores: bool = False,
    ignore: tuple[str, ...] = (),
) -> Compared:
    """Read both arms and set them against each other.

    Args:
        workspace: that holds the results.
        a: the arm that may be shipped.
        b: what it is set against.
        file: a benchmark file that says which settings are meant; None: those stored.
        metric: one of `ctrbench.stats.METRICS`.
        any_settings: compare arms of unlike model or training settings as well.
        scores: predictions in files are any scores.
        ignore: columns of files that are left aside.

    Raises:
        ConfigError: no such metric, an arm that is not told clearly, or unlike settings.
        UnknownNameError: nothing is stored under the name.
        DataError: the arms are not of the same test impressions and protocol, share no seed, or
            the metric is not defined on them.
    """
    if metric not in METRICS:
        raise ConfigError(unknown_name("metric", metric, METRICS))
    if is_file(a) or is_file(b):
        if not (is_file(a) and is_file(b)) or file is not None:
            raise ConfigError(
                f"{a} and {b}: give two files of predictions and no --file, or two stored arms."
            )
        found = compare_files(a, b, metric, scores, ignore)
        turned = metric in LESS_IS_BETTER
        inference = found.inference.reversed() if turned else found.inference
        return Compared(
            a, b, metric, found.counts, inference, (), found.value, found.reference, found
        )
    if scores or ignore:
        raise ConfigError("--scores and --ignore are for files of predictions.")
    if file is not None:
        matrix = read_matrix(file, workspace)
        arms = [_of_matrix(workspace, matrix, name) for name in (a, b)]
    else:
        arms = _alike((a, b), [_of_store(workspace, name) for name in (a, b)])
    ours, theirs = arms
    one, other = next(iter(ours.values())), next(iter(theirs.values()))
    _require_same(workspace, a, b, one, other)
    differing = tuple(
        f"{name} {_shown(one, name)} and {_shown(other, name)}"
        for name in CONDITIONS
        if getattr(one.cell, name) != getattr(other.cell, name)
    )
    if differing and not any_settings:
        raise ConfigError(
            f"{a} and {b} were not trained alike: {'; '.join(differing)} (beyond the defaults). "
            "What differs could be the settings' doing; --any-settings compares them all the same."
        )
    store, key = Store(workspace), f"test/{metric}"
    sides = [
        _measured(store, name, arm, metric, key) for name, arm in zip((a, b), arms, strict=True)
    ]
    contrast = pair(sides[0], sides[1])
    if contrast is None:
        raise DataError(_why_not(a, b, ours, theirs, sides, metric))
    if metric in LESS_IS_BETTER:
        contrast = contrast.reversed()
    (inference,) = infer([contrast])
    if math.isnan(inference.low):
        raise DataError(f"{metric} rests on a single user here: there is no interval over users.")
    value, reference = (fmean(side.values[seed] for seed in contrast.seeds) for side in sides)
    test = one.metrics["test"]
    return Compared(a, b, metric, test, inference, differing, value, reference)


def describe(found: Compared, margin: float) -> str:
    """The comparison in words, for a person and for a log."""
    inference, seeds = found.inference, found.inference.seeds
    low, high = 100 * inference.low, 100 * inference.high
    verdict = {
        "better": f"{found.a} is better.",
        "worse": f"{found.a} is worse"
        + (f", but by less than {100 * margin:g} pp." if inference.low > -margin else "."),
        "no worse": f"{found.a} is no worse by more than {100 * margin:g} pp.",
        "inconclusive": "Not decided: it may be better, or worse by more than "
        f"{100 * margin:g} pp.",
    }[inference.verdict(margin)]
    if found.below_chance:
        verdict = (
            f"No verdict: {found.b} has {found.metric} {found.reference:.4f}, worse than chance, "
            "and anything that dilutes such a model gains."
        )
    sign = " (turned round: less is better)" if found.metric in LESS_IS_BETTER else ""
    lines = [
        f"{found.a} against {found.b}: {len(seeds)} seed(s), {found.test.impressions:,} test "
        f"impressions, {found.test.evaluable_users:,} of {found.test.users:,} users evaluable.",
        f"{found.metric}{sign} {100 * inference.estimate:+.3f} pp ({found.value:.4f} and "
        f"{found.reference:.4f}), 95 % interval {low:+.3f} to {high:+.3f} "
        f"(p {inference.p_value:.2g}). {verdict}",
    ]
    if found.test.evaluable_users < FEWEST_USERS:
        lines.append(
            f"Only {found.test.evaluable_users} users have both a click and a non-click; with "
            f"fewer than {FEWEST_USERS} a few people decide."
        )
    if inference.worth < FEWEST_WORTH:
        lines.append(
            f"A few users weigh so much that all are worth {inference.worth:.1f} of equal weight: "
            "the interval is wider than need be, and below 3 too narrow."
        )
    if inference.low <= 0 <= inference.high:
        smallest = 100 * inference.smallest_effect
        lines.append(f"An effect below {smallest:.2f} pp can hide here.")
    spread = inference.variance
    sources = ["user"] + ["item"] * spread.with_items + ["seed"] * (spread.seed_degrees > 0)
    lines.append(f"The 95 % confidence interval accounts for {joined(sources)} variance.")
    if not spread.with_items:
        lines.append(
            "It holds for the same items only: "
            + (
                "add the column item_id to both files to account for item variance."
                if is_file(found.a)
                else "item sums are not stored with these cells."
            )
        )
    if len(seeds) == 1:
        lines.append(
            "One seed: how much the difference varies when both models are trained again is not in "
            "it."
        )
    if found.files is not None:
        lines += _of_files(found.files)
    lines += [f"Not trained alike: {text}." for text in found.differing]
    if not is_file(found.a):
        lines.append(
            "Judged by itself: if it was picked as the best of several, the table's verdict, which "
            "holds for all of them together, is the one to go by."
        )
    return "\n".join(lines)


def _of_files(files: ComparedFiles) -> list[str]:
    """Ties, and how rows were matched."""
    ours, theirs = (f"{100 * share:.2g} %" for share in files.ties)
    lines = [
        f"Equal predictions of a click and a non-click: {ours} of the pairs in A, {theirs} in B; "
        "each counts one half."
    ]
    if not files.matched:
        lines.append(
            "Rows were taken in the order of the files; a column impression_id in both would show "
            "predictions that moved to another row of the same user."
        )
    return lines


def power_table(workspace: Workspace, matrix: Matrix, effect: float) -> str:
    """Per comparison the seeds and users it takes to see the effect."""
    records = complete(workspace, matrix, stored_records(workspace, matrix.cells()))
    found = {
        name: inference
        for name, inference in judged(workspace, matrix, records).items()
        if len(inference.seeds) > 1
    }
    if not found:
        raise DataError(
            "power needs two stored seeds or more of the baseline and of a cell; run the matrix "
            "first."
        )
    told = [f"To see {100 * effect:g} pp of {matrix.file.headline.upper()} four times in five:"]
    for label, inference in found.items():
        wanted = need(inference, effect, len(found))
        if wanted.hidden:
            told.append(
                f"- {label}: not with these test users, whatever the number of seeds (at best "
                f"{100 * wanted.smallest_effect:.2f} pp); it takes more than {wanted.users:.2f} "
                f"times as many {_test_set(inference)}."
            )
        elif wanted.seeds is None:
            told.append(
                f"- {label}: more than {MOST_SEEDS:,} seeds, or more test {_test_set(inference)}."
            )
        else:
            units = _test_set(inference)
            limit = f"at best {100 * wanted.smallest_effect:.2f} pp can be seen with these {units}"
            if not inference.variance.sampled:
                limit = f"these {units} set no limit that the stored seeds could tell"
            told.append(
                f"- {label}: {wanted.seeds} seeds (stored: {len(inference.seeds)}); {limit}."
            )
    return "\n".join(told)


def _test_set(inference: Inference) -> str:
    """What a test set needs more of."""
    return "users and items" if inference.variance.items else "users"


def _of_matrix(workspace: Workspace, matrix: Matrix, name: str) -> Seeds:
    """The stored seeds of one place of a matrix: `VERSION/MODE`, or `none`, `none epochs=2`."""
    places = {f"{row.label}/{c.label}": (row, c) for row in matrix.rows for c in matrix.columns}
    places |= {f"{BASELINE} {c.trained}".rstrip(): (None, c) for c in matrix.columns}
    if name in (BASELINE, f"{BASELINE}/{BASELINE}"):
        place = (None, None)
    elif name in places:
        place = places[name]
    else:
        raise UnknownNameError("place of the matrix", name, [BASELINE, *places])
    cells = [matrix.cell(*place, seed) for seed in matrix.file.seeds]
    records = complete(workspace, matrix, stored_records(workspace, cells))
    return _finished(name, list(records.values()))


def _of_store(workspace: Workspace, name: str) -> list[list[CellRecord]]:
    """The stored cells of `DATASET/VERSION/MODE`, those of one kind of settings together."""
    dataset, _, place = name.partition("/")
    version, _, mode = place.partition("/")
    if not version or not dataset or {".", ".."} & set(name.split("/")):
        raise ConfigError(
            f"{name!r} names no arm: give DATASET/VERSION/MODE, or --file and VERSION/MODE."
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


def _alike(names: tuple[str, str], kinds: list[list[list[CellRecord]]]) -> list[Seeds]:
    """Of each arm the kind of settings that is meant: the only one, or the only pair alike."""
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
                told = "; ".join(_settings(group[0]) for group in groups)
                raise ConfigError(
                    f"{name} is stored under {len(groups)} kinds of settings ({told}): say which "
                    "with --file FILE, a benchmark file."
                )
    if len(pairs) != 1:  # other data or protocol: whoever asks is told so next
        pairs = [(kinds[0][0], kinds[1][0])]
    return [_finished(name, arm) for name, arm in zip(names, pairs[0], strict=True)]


def _settings(record: CellRecord) -> str:
    cell = record.cell
    parts = {**cell.mode_settings, **cell.training, **cell.model}
    told = ", ".join(f"{key} {value}" for key, value in parts.items()) or "all at their default"
    return f"{told}, protocol {cell.protocol}, revision {cell.mode_revision} of the mode"


def _finished(name: str, records: list[CellRecord]) -> Seeds:
    done = {record.cell.seed: record for record in records if record.status == "done"}
    if not done:
        raise DataError(f"{name} has no finished cell; run its matrix first.")
    return done


def _require_same(workspace: Workspace, a: str, b: str, one: CellRecord, other: CellRecord) -> None:
    """The same test impressions, label rule and protocol, else say what differs."""
    differing = []
    if one.cell.protocol != other.cell.protocol:
        differing.append(f"protocol {one.cell.protocol} and {other.cell.protocol}")
    if one.cell.data_hash != other.cell.data_hash:
        differing += _data_differences(workspace, one.cell, other.cell)
    if differing:
        raise DataError(
            f"{a} and {b} cannot be compared, for these differ: {'; '.join(differing)}. Both arms "
            "need the same test impressions, label rule and protocol."
        )


def _data_differences(workspace: Workspace, one: Cell, other: Cell) -> list[str]:
    """In words where both data sets are described, else by their hashes."""
    found = []
    if one.dataset != other.dataset:
        found.append(f"data set {one.dataset} and {other.dataset}")
    store = Store(workspace)
    summaries = [store.read_summary(cell.dataset) for cell in (one, other)]
    known = [summary.manifest for summary in summaries if summary is not None]
    if [manifest.content_hash for manifest in known] == [one.data_hash, other.data_hash]:
        for name, tell in (
            ("label", lambda m: repr(m.label)),
            ("split", lambda m: str(m.split)),
            ("snapshot", lambda m: m.snapshot),
            ("test impressions", lambda m: "{} to {}".format(*m.periods.get("test", (0, 0)))),
            ("users", lambda m: str(m.counts["users"])),
        ):
            told = [tell(manifest) for manifest in known]
            if told[0] != told[1]:
                found.append(f"{name} {told[0]} and {told[1]}")
    return [*found, f"content {one.data_hash} and {other.data_hash}"]


def _measured(
    store: Store, name: str, arm: Mapping[int, CellRecord], metric: str, key: str
) -> Measured:
    values = {seed: getattr(record.metrics["test"], metric) for seed, record in arm.items()}
    return measured(
        name,
        key,
        {
            seed: (value, store.influence(arm[seed].cell))
            for seed, value in values.items()
            if value is not None
        },
    )


def _why_not(
    a: str,
    b: str,
    ours: Mapping[int, CellRecord],
    theirs: Mapping[int, CellRecord],
    sides: Sequence[Measured],
    metric: str,
) -> str:
    for name, arm, side in zip((a, b), (ours, theirs), sides, strict=True):
        if not side.influence and all(
            getattr(r.metrics["test"], metric) is None for r in arm.values()
        ):
            return f"{metric} of {name} is not defined: no user has a click and a non-click."
        if not side.influence:
            return f"{name} has no influence values and no predictions to make them from."
    listed = ", ".join(map(str, sorted(ours))), ", ".join(map(str, sorted(theirs)))
    return f"{a} (seeds {listed[0]}) and {b} (seeds {listed[1]}) share no seed."


def _shown(record: CellRecord, name: str) -> str:
    return canonical_json(getattr(record.cell, name))
