"""Files of predictions of any model, with one row per impression, matched by id or by order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.errors import ConfigError, DataError, raise_all, unknown_name
from ctrbench.importing.relations import damage_named
from ctrbench.metrics import comparable, evaluate, every, tied_pairs
from ctrbench.printable import counted
from ctrbench.schema import Metrics
from ctrbench.stats import Inference, compare_predictions

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from ctrbench.datasets._ids import Kind
    from ctrbench.datasets._tables import Rule, Table

ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
REQUIRED = ("user_id", "click", "p_click")
OPTIONAL = ("impression_id", "item_id", "group_id", "weight", "seed")
IDS = ("impression_id", "user_id", "item_id", "group_id")
SHARED = ("user_id", "item_id", "group_id", "click", "weight")  # equal in both files
SCORES = "for metrics of the ranking, --scores allows any numbers"
INDEX_OF_PANDAS = "__index_level_"  # prefix of index columns that pandas saves
INTEGERS = ("seed", "timestamp")  # columns of 64-bit integers
EXAMPLES = 3  # rows that a message shows


@dataclass(frozen=True)
class Predictions:
    """Predictions of S seeds of a model for N impressions."""

    ids: dict[str, np.ndarray]  # column -> (N,) text
    click: np.ndarray  # (N,)
    p_click: np.ndarray  # (S, N)
    weight: np.ndarray | None  # (N,)
    seeds: tuple[int, ...]

    def column(self, name: str) -> np.ndarray | None:
        """Return the (N,) values of a shared column; None if the file lacks it."""
        return self.ids.get(name) if name in IDS else getattr(self, name)

    def numbers(self, name: str) -> np.ndarray | None:
        """Return (N,) int64 codes of the ids of a column; None if the file lacks it."""
        return _numbered(self.ids[name]) if name in self.ids else None


@dataclass(frozen=True)
class ComparedFiles:
    """The comparison of file A with file B."""

    inference: Inference
    counts: Metrics  # of A's first seed, for its counts
    value: float  # the metric of A, mean over seeds
    reference: float  # the metric of B
    ties: tuple[float, float]  # share of pairs with equal predictions, of A and B
    matched: bool  # rows are matched by impression_id; otherwise by order


def _numbered(ids: np.ndarray) -> np.ndarray:
    return np.unique(ids, return_inverse=True)[1]


def is_file(name: str) -> bool:
    """Whether the name of an arm is a file of predictions."""
    return name.lower().endswith(ENDINGS)


def compare_files(
    a: str, b: str, metric: str, scores: bool = False, ignore: tuple[str, ...] = ()
) -> ComparedFiles:
    """Return the comparison of the predictions of file A with those of file B.

    Args:
        a: The file of the arm.
        b: The file it is compared with.
        metric: Name of a metric with intervals.
        scores: Whether p_click may be any numbers, of which only the order matters.
        ignore: Columns to ignore.

    Raises:
        ConfigError: A file does not exist or lacks a column, or `scores` is set although the metric
            requires probabilities.
        DataError: The files contain different impressions, or predictions are invalid.
    """
    judged_by = comparable(metric)
    if scores and judged_by.needs_probabilities:
        raise ConfigError(
            f"{metric} requires probabilities; --scores allows only metrics of the ranking."
        )
    one, other = (read_predictions(Path(name), scores, ignore) for name in (a, b))
    matched = "impression_id" in one.ids and "impression_id" in other.ids
    problems = []
    if ("impression_id" in one.ids) != ("impression_id" in other.ids):
        advice = "add it to both, or match rows by order with --ignore impression_id"
        problems = [f"only one of them has the column impression_id; {advice}"]
    elif matched:
        problems, other = _in_order_of(one, other)
    raise_all(problems or _differences(one, other), DataError, f"{a} and {b} cannot be compared:")
    user, group = _numbered(one.ids["user_id"]), one.numbers("group_id")
    ours, theirs = (np.stack([*map(as_probability, arm.p_click)]) for arm in (one, other))
    found = compare_predictions(
        one.click,
        user,
        ours,
        theirs,
        metric,
        one.weight,
        group_id=group,
        item_id=one.numbers("item_id"),
    )
    wanted = tuple({of.name: of for of in (*every(), judged_by)}.values())
    counts, others = (
        [evaluate(one.click, p, user, one.weight, group, wanted) for p in arm]
        for arm in (ours, theirs)
    )
    within = (user if group is None else group) if judged_by.within_groups else None
    ties = [fmean(tied_pairs(one.click, p, within) for p in arm) for arm in (ours, theirs)]
    value, reference = (fmean(m.value(metric) or 0.0 for m in arm) for arm in (counts, others))
    return ComparedFiles(found, counts[0], value, reference, (ties[0], ties[1]), matched)


def read_predictions(path: Path, scores: bool = False, ignore: tuple[str, ...] = ()) -> Predictions:
    """Return the predictions of a file with the columns `REQUIRED`, and optionally `OPTIONAL`.

    Args:
        path: A Parquet or text file, in the formats of a click log.
        scores: Whether p_click may be any numbers.
        ignore: Columns to ignore.

    Raises:
        ConfigError: The file does not exist, a column is missing, or a column is unknown.
        DataError: A value is invalid, or the seeds have different impressions.
    """
    import duckdb

    from ctrbench.datasets._tables import read_table, refuse_empty, renamed

    if not path.is_file():
        raise ConfigError(f"there is no file {path}.")
    with duckdb.connect() as connection, damage_named(connection):
        table = refuse_empty(read_table(connection, path))
        ignored = {*ignore, *(name for name in table.types if name.startswith(INDEX_OF_PANDAS))}
        unknown = [name for name in ignore if name not in table.types]
        if unknown:
            raise ConfigError(
                f"{path}: {unknown_name('column', unknown[0], table.types)} (--ignore)"
            )
        kept = {name: name for name in table.types if name not in ignored}
        table = renamed(connection, table, kept)
        _check_columns(path, table)
        rows = read_values(connection, table, scores, SCORES)
    return _by_seed(path, rows, tuple(name for name in IDS if name in rows))


def read_values(
    connection: DuckDBPyConnection, table: Table, scores: bool, of_scores: str
) -> dict[str, np.ndarray]:
    """Return the checked values of a table of predictions, by column; ids are text.

    Args:
        connection: The database of the table.
        table: A table with the columns `IDS`, click, p_click, weight, seed and timestamp, of which
            only p_click is required.
        scores: Whether p_click may be any numbers.
        of_scores: What to do with other numbers than probabilities, for messages.

    Raises:
        DataError: A value is missing or invalid.
    """
    from ctrbench.datasets._tables import broken_rules

    ids: dict[str, Kind] = {
        name: _kind(connection, table, name) for name in IDS if name in table.types
    }
    problems = broken_rules(connection, table, _rules(table, ids, scores, of_scores))
    raise_all(problems, DataError, f"{table.path} cannot be used:")
    rows = _read(connection, table, ids)
    return rows | {name: rows[name].astype(str) for name in ids}


def _check_columns(path: Path, table: Table) -> None:
    missing = [name for name in REQUIRED if name not in table.types]
    has = ", ".join(table.types)
    optional = ", ".join(OPTIONAL)
    if missing:
        raise ConfigError(
            f"{path} lacks the column(s) {', '.join(missing)}; it has {has}. "
            f"A file of predictions has {', '.join(REQUIRED)}, and optionally {optional}."
        )
    unused = [name for name in table.types if name not in (*REQUIRED, *OPTIONAL)]
    if unused:
        raise ConfigError(
            f"{path}: unknown column(s) {', '.join(unused)}; columns are {', '.join(REQUIRED)}, "
            f"and optionally {optional}. Rename them, or add --ignore {','.join(unused)}."
        )


def _kind(connection: DuckDBPyConnection, table: Table, name: str) -> Kind:
    from ctrbench.datasets._ids import kind_of_ids
    from ctrbench.datasets._lists import ColumnOptions

    kind = kind_of_ids(connection, [(table, name)], [], ColumnOptions())
    return "text" if kind == "whole" else kind


def _rules(table: Table, ids: dict[str, Kind], scores: bool, of_scores: str) -> list[Rule]:
    from ctrbench.datasets._ids import id_rules
    from ctrbench.datasets._log import click_rules
    from ctrbench.datasets._tables import FLOATS, Rule, missing, not_a_number, number

    rules = [rule for name, kind in ids.items() for rule in id_rules(table, name, kind)]
    rules += click_rules(table) if "click" in table.types else []
    for name in ("p_click", "weight"):
        if name in table.types:
            rules += [missing(table, name), not_a_number(table, name)]
            if table.types[name] not in FLOATS:  # a text that parses as NaN
                rules.append(Rule(name, f"isnan(TRY_CAST({name} AS DOUBLE))", "are NaN"))
    value = number(table, "p_click")
    if not scores:
        cure = f"give probabilities; {of_scores}"
        rules.append(Rule("p_click", f"NOT {value} BETWEEN 0 AND 1", "are outside [0, 1]", cure))
    if "weight" in table.types:
        rules.append(Rule("weight", f"{number(table, 'weight')} <= 0", "are not above 0"))
    for name in INTEGERS:
        if name in table.types:
            value = f'TRY_CAST("{name}" AS DOUBLE)'
            wrong = f"{_integer(name)} IS NULL OR {value} % 1 <> 0"
            if table.types[name] in FLOATS:
                wrong += f" OR abs({value}) >= {2**53}"
            cure = "write whole numbers" + ", in the unit of the log" * (name == "timestamp")
            rules += [missing(table, name), Rule(name, wrong, "are not 64-bit integers", cure)]
    return rules


def _integer(name: str) -> str:
    """Return SQL for the value of a column of `INTEGERS`."""
    return f'TRY_CAST("{name}" AS BIGINT)'


def _read(
    connection: DuckDBPyConnection, table: Table, ids: dict[str, Kind]
) -> dict[str, np.ndarray]:
    from ctrbench.datasets._ids import id_value
    from ctrbench.datasets._log import click_value
    from ctrbench.datasets._tables import number

    chosen = [f"{id_value(table, name, kind)} AS {name}" for name, kind in ids.items()]
    if "click" in table.types:
        chosen += [f"({click_value(table)})::TINYINT AS click"]
    chosen += [
        f"{number(table, name)} AS {name}" for name in ("p_click", "weight") if name in table.types
    ]
    chosen += [f"{_integer(name)} AS {name}" for name in INTEGERS if name in table.types]
    found = connection.execute(f"SELECT {', '.join(chosen)} FROM {table.relation}").fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


def _by_seed(path: Path, columns: dict[str, np.ndarray], ids: tuple[str, ...]) -> Predictions:
    """Return the impressions of the first seed with the predictions of all seeds."""
    seeds = np.unique(columns["seed"]) if "seed" in columns else np.zeros(1)
    parts = [
        Predictions(
            ids={name: columns[name][chosen] for name in ids},
            click=columns["click"][chosen],
            p_click=columns["p_click"][chosen][None],
            weight=columns["weight"][chosen] if "weight" in columns else None,
            seeds=(int(seed),),
        )
        for seed in seeds
        for chosen in [columns["seed"] == seed if "seed" in columns else slice(None)]
    ]
    first = parts[0]
    rows_of_seeds: list[np.ndarray] = []
    _refuse_repeated(path, first)
    for part in parts:
        problems: list[str] = []
        if "impression_id" in first.ids:
            problems, part = _in_order_of(first, part)
        problems = problems or _differences(first, part, seeds=False)
        raise_all(
            problems,
            DataError,
            f"{path}: seed {part.seeds[0]} has other impressions than seed {first.seeds[0]}:",
        )
        rows_of_seeds.append(part.p_click)
    return Predictions(
        first.ids,
        first.click,
        np.concatenate(rows_of_seeds),
        first.weight,
        tuple(int(seed) for seed in seeds),
    )


def _refuse_repeated(path: Path, part: Predictions) -> None:
    names = part.ids.get("impression_id")
    if names is None:
        return
    values, counts = np.unique(names, return_counts=True)
    repeated = values[counts > 1]
    if len(repeated):
        raise DataError(
            f"{path}: impression_ids in several rows of one seed ({len(repeated):,}), such as "
            f"{', '.join(repeated[:EXAMPLES])}."
        )


def _in_order_of(one: Predictions, other: Predictions) -> tuple[list[str], Predictions]:
    """Return the problems of matching by id, and `other` in the order of `one`."""
    ours, theirs = one.ids["impression_id"], other.ids["impression_id"]
    unmatched = [np.setdiff1d(ours, theirs), np.setdiff1d(theirs, ours)]
    if len(ours) != len(theirs) or any(map(len, unmatched)):
        reasons = [
            counted(
                len(names), f"impression_id of the {which} is", f"impression_ids of the {which} are"
            )
            + " not in the other"
            + (f", such as {', '.join(names[:EXAMPLES])}" if len(names) else "")
            for which, names in zip(("first", "second"), unmatched, strict=True)
        ]
        return [f"they have {len(ours)} and {len(theirs)} impressions; {'; '.join(reasons)}"], other
    order = np.argsort(theirs)[np.argsort(np.argsort(ours))]
    return [], Predictions(
        {name: column[order] for name, column in other.ids.items()},
        other.click[order],
        other.p_click[:, order],
        None if other.weight is None else other.weight[order],
        other.seeds,
    )


def _differences(one: Predictions, other: Predictions, seeds: bool = True) -> list[str]:
    """Return the differences between the impressions of two files, one phrase each."""
    if len(one.click) != len(other.click):
        return [f"they have {len(one.click)} and {len(other.click)} impressions"]
    found: list[str] = []
    for name in SHARED:
        ours, theirs = one.column(name), other.column(name)
        if (ours is None) != (theirs is None):
            found.append(f"only one of them has the column {name}")
        elif (
            ours is not None
            and theirs is not None
            and (rows := np.flatnonzero(ours != theirs)).size
        ):
            shown = ", ".join(
                f"row {row + 1}: {ours[row]} and {theirs[row]}" for row in rows[:EXAMPLES]
            )
            same_multiset = np.array_equal(np.sort(ours), np.sort(theirs))
            cure = "; sort both in the same order, or add the column impression_id to both"
            order = cure if same_multiset and name == "user_id" else ""
            found.append(f"{name} differs in {counted(rows.size, 'row')} ({shown}){order}")
    if seeds and one.seeds != other.seeds:
        found.append(f"their seeds are {list(one.seeds)} and {list(other.seeds)}")
    return found


def as_probability(p_click: np.ndarray) -> np.ndarray:
    """Return (N,) predictions in [0, 1]; scores outside are replaced by their ranks."""
    if p_click.min() >= 0 and p_click.max() <= 1:
        return p_click
    values, places = np.unique(p_click, return_inverse=True)
    return (places + 0.5) / len(values)
