"""Import another model's predictions of the test impressions, so that tables show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrbench import __version__, impressions
from ctrbench.analysis.prediction_files import INDEX_OF_PANDAS, as_probability, read_values
from ctrbench.batches.slots import HistorySlots
from ctrbench.display import Displayed
from ctrbench.environment import environment
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.identity import ContentHash
from ctrbench.importing.relations import damage_named
from ctrbench.plan import PROTOCOL
from ctrbench.printable import counted
from ctrbench.runner.measure import (
    WHOLE,
    evaluate_period,
    of_ranking,
    scratch_of,
    user_influences,
)
from ctrbench.schema import CellRecord, ImportedPredictions, Impressions, Metrics
from ctrbench.settings import ModelSettings
from ctrbench.store import Store
from ctrbench.workspace import Workspace, check_name

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("user_id", "item_id", "timestamp")  # identify an impression if there is no impression_id
VALUES = ("p_click", "score")  # a file has one of them
COLUMNS = ("impression_id", *KEYS, *VALUES, "click", "seed")
EXAMPLES = 3  # impressions that a message shows


@dataclass(frozen=True)
class Imported(Displayed, view="comparisons.show_imported"):
    """The outcome of an import."""

    manifest: ImportedPredictions
    new: bool  # False: the same predictions were stored already
    matched_by: tuple[str, ...]  # columns
    unused: tuple[str, ...]  # columns of the file that were not read
    metrics: tuple[Metrics, ...]  # of the test period, by seed


def import_predictions(
    workspace: Workspace,
    path: Path,
    name: str,
    dataset: str,
    label: str | None = None,
    source: str | None = None,
) -> Imported:
    """Store predictions of the test impressions under a name that benchmark files can list.

    Args:
        workspace: The workspace of the data set.
        path: A Parquet or text file with one row per test impression and seed, in any order. It has
            `impression_id` (of `ctrbench datasets export`) or `user_id`, `item_id` and optionally
            `timestamp`; `p_click` (probabilities) or `score` (any numbers); optionally `seed` and
            `click`, which is compared with the log.
        name: The name of the predictions.
        dataset: The name of the data set.
        label: The predicted label of the data set; None: the click.
        source: Where the predictions come from, for the manifest; None: the path.

    Raises:
        ConfigError: The file does not exist or lacks columns, or the name has other predictions.
        DataError: Values are invalid, impressions are missing, repeated, ambiguous or unknown, or
            clicks differ from those of the log.
        StoreError: The results cannot be written.
        UnknownNameError: The data set does not exist, or does not have the label.
    """
    name = check_name("predictions", name)
    log = impressions.open_impressions(workspace, dataset, label)
    rows, scores, unused = _read(path)
    test, keys = _test_impressions(workspace, log), _keys(path, rows, log)
    predicted = dict(_by_seed(path, rows, test, keys))
    manifest = ImportedPredictions(
        name=name,
        dataset=log.manifest.name,
        data_hash=log.manifest.content_hash,
        seeds=tuple(predicted),
        scores=scores,
        content_hash=_content_hash(predicted),
        protocol=PROTOCOL,
        source=source or str(path),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ctrbench_version=__version__,
        outcome=label,
    )
    store = Store(workspace)
    stored = _stored_before(store, manifest)
    if stored is None:
        for seed, p_click in predicted.items():
            _store(workspace, log, manifest, seed, p_click)
        store.write_imported(manifest)
    records = (store.read(cell) for cell in manifest.cells)
    metrics = tuple(record.metrics[WHOLE] for record in records if record is not None)
    return Imported(stored or manifest, stored is None, keys, unused, metrics)


def _read(path: Path) -> tuple[dict[str, np.ndarray], bool, tuple[str, ...]]:
    """Return the columns of the file, whether it has scores, and the columns that are not read."""
    import duckdb

    from ctrbench.datasets._tables import read_table, refuse_empty, renamed

    if not path.is_file():
        raise ConfigError(f"there is no file {path}.")
    with duckdb.connect() as connection, damage_named(connection):
        table = refuse_empty(read_table(connection, path))
        given = [name for name in VALUES if name in table.types]
        if len(given) != 1:
            raise ConfigError(
                f"{path} has the columns {', '.join(table.types)}; exactly one of p_click "
                "(probabilities) and score (any numbers) is required."
            )
        known = {name: name for name in COLUMNS if name in table.types} | {given[0]: "p_click"}
        unused = [
            name
            for name in table.types
            if name not in known and not name.startswith(INDEX_OF_PANDAS)
        ]
        scores = given == ["score"]
        other = "other numbers, of which only the order matters, are a column score"
        rows = read_values(connection, renamed(connection, table, known), scores, other)
    return rows, scores, tuple(unused)


def _keys(path: Path, rows: dict[str, np.ndarray], log: Impressions) -> tuple[str, ...]:
    """Return the columns that identify an impression."""
    if "impression_id" in rows:
        return ("impression_id",)
    missing = [name for name in KEYS[:2] if name not in rows]
    if missing:
        raise ConfigError(
            f"{path} lacks {' and '.join(missing)}: it needs impression_id of `ctrbench datasets "
            f"export {log.manifest.name}`, or user_id and item_id."
        )
    return tuple(
        name for name in KEYS if name in rows and (name in KEYS[:2] or log.timestamp is not None)
    )


def _test_impressions(workspace: Workspace, log: Impressions) -> pd.DataFrame:
    """Return the test impressions in stored order, with ids as text."""
    import pandas as pd

    name, rows = log.manifest.name, log.rows(WHOLE)
    users = np.array([None, *impressions.raw_user_ids(workspace, name)], object)
    items = np.array([None, *impressions.raw_item_ids(workspace, name)], object)
    columns = {
        "impression_id": np.arange(rows.start, rows.stop).astype(str),
        "user_id": users[log.user_id[rows]],
        "item_id": items[log.item_id[rows]],
        "click": log.click[rows],
    }
    if log.timestamp is not None:
        columns["timestamp"] = log.timestamp[rows]
    return pd.DataFrame(columns)


def _by_seed(
    path: Path, rows: dict[str, np.ndarray], test: pd.DataFrame, keys: tuple[str, ...]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each seed and its (n,) float32 predictions in the order of the test impressions."""
    import pandas as pd

    table = pd.DataFrame(rows)
    seeds = np.unique(rows["seed"]) if "seed" in rows else np.zeros(1, np.int64)
    for seed in seeds:
        part = table.loc[table["seed"] == seed] if "seed" in rows else table
        where = f"{path}, seed {seed}" if "seed" in rows else str(path)
        matched, problems = _matched(test, part, keys)
        raise_all(problems, DataError, f"{where}: the rows are not the test impressions:")
        p_click = as_probability(matched["p_click"].to_numpy(np.float64)).astype(np.float32)
        if np.all(p_click == p_click[0]):
            raise DataError(f"{where}: all predictions are {p_click[0]:g}, which rank nothing.")
        yield int(seed), p_click


def _matched(
    test: pd.DataFrame, part: pd.DataFrame, keys: tuple[str, ...]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a file in the order of the test impressions, and the problems.

    Several impressions with equal keys are matched only if all their predictions are equal.
    """
    import pandas as pd

    both = pd.DataFrame(
        {name: pd.concat([test[name], part[name]], ignore_index=True) for name in keys}
    )
    code = both.groupby([*keys], sort=False).ngroup().to_numpy()
    ours, theirs = code[: len(test)], code[len(test) :]
    size = int(code.max()) + 1
    wanted, given = (np.bincount(codes, minlength=size) for codes in (ours, theirs))
    values = part["p_click"].to_numpy(np.float64)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, theirs, values)
    np.maximum.at(high, theirs, values)
    cure = "; add the column impression_id of `ctrbench datasets export`"
    cases = (
        (given == 0, "test impression(s) without a prediction", ""),
        (wanted == 0, "row(s) without a test impression", _example_of(test, keys)),
        ((wanted > 0) & (given > wanted), "test impression(s) repeated in the file", ""),
        (
            (wanted > given) & (given > 0),
            "test impression(s) more often in the log than in the file",
            cure if keys != ("impression_id",) else "",
        ),
        (
            (wanted > 1) & (wanted == given) & (low < high),
            f"group(s) of test impressions with equal {', '.join(keys)} but different predictions",
            cure,
        ),
    )
    problems = [
        f"{np.count_nonzero(wrong):,} {what}, such as {_examples(both, code, wrong)}{more}"
        for wrong, what, more in cases
        if wrong.any()
    ]
    if problems:
        return part, problems
    order = np.argsort(theirs, kind="stable")[np.argsort(np.argsort(ours, kind="stable"))]
    matched = part.iloc[order].reset_index(drop=True)
    certain = wanted[ours] == 1  # equal keys may have different clicks, in any order
    problems = [
        problem
        for name in (*KEYS, "click")
        if name in part and name in test
        for problem in _differing(name, test[name].to_numpy(), matched[name].to_numpy(), certain)
    ]
    return matched, problems


def _examples(both: pd.DataFrame, code: np.ndarray, wrong: np.ndarray) -> str:
    """Return the first keys of some codes."""
    rows = both[wrong[code]].drop_duplicates().head(EXAMPLES)
    return "; ".join(_described(rows.iloc[place].to_dict()) for place in range(len(rows)))


def _example_of(test: pd.DataFrame, keys: tuple[str, ...]) -> str:
    return f"; the first test impression is {_described(test.iloc[0][[*keys]].to_dict())}"


def _described(row: dict[str, object]) -> str:
    return " ".join(f"{name} {value}" for name, value in row.items())


def _differing(
    name: str, ours: np.ndarray, theirs: np.ndarray, certain: np.ndarray
) -> Iterator[str]:
    rows = np.flatnonzero((ours != theirs) & certain)
    if len(rows):
        shown = "; ".join(f"{theirs[row]} instead of {ours[row]}" for row in rows[:EXAMPLES])
        yield f"{name} of {counted(len(rows), 'row')} differs from the log: {shown}"


def _content_hash(predicted: dict[int, np.ndarray]) -> str:
    content = ContentHash()
    for seed, p_click in predicted.items():
        content.array(str(seed), p_click)
    return content.hexdigest()


def _stored_before(store: Store, manifest: ImportedPredictions) -> ImportedPredictions | None:
    """Return the description of the same predictions if they are stored already.

    Raises:
        ConfigError: Other predictions of the same test impressions have this name.
    """
    stored = store.read_imported(manifest.dataset, manifest.name, manifest.outcome)
    same_test = ("data_hash", "protocol")
    if stored is None or any(getattr(stored, x) != getattr(manifest, x) for x in same_test):
        return None
    if any(getattr(stored, x) != getattr(manifest, x) for x in ("content_hash", "scores")):
        raise ConfigError(
            f"'{manifest.name}' has other predictions already, from {stored.source}. Choose "
            f"another name, or delete {store.root / manifest.dataset / manifest.name}."
        )
    return stored


def _store(
    workspace: Workspace,
    log: Impressions,
    manifest: ImportedPredictions,
    seed: int,
    p_click: np.ndarray,
) -> None:
    """Measure and store the predictions of one seed."""
    cell = manifest.cell(seed)
    metrics = evaluate_period(log, WHOLE, p_click, scratch=scratch_of(workspace))
    if cell.scores:
        metrics = of_ranking(metrics)
    slots = HistorySlots(log, ModelSettings().history_length)
    record = CellRecord(
        hash=cell.hash,
        cell=cell,
        status="done",
        metrics={WHOLE: metrics},
        environment=environment(),
        finished=manifest.created,
    )
    influence = user_influences(workspace, slots, p_click, ())
    Store(workspace).write(record, {WHOLE: p_click}, {WHOLE: log.rows(WHOLE).start}, influence)
