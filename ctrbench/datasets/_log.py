"""Turn the files of a click log into the checked and typed view `impressions` of `Raw`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ctrbench.datasets._fields import read_fields, stated_rules
from ctrbench.datasets._ids import Kind, id_rules, id_value, ids_rules, ids_value
from ctrbench.datasets._lists import ColumnOptions, element, history_rules, list_rules
from ctrbench.datasets._tables import (
    Rule,
    Table,
    broken_rules,
    filtered,
    missing,
    missing_columns,
    number,
    text,
)
from ctrbench.datasets._timestamps import (
    DROP,
    Times,
    open_times,
    timestamp_expressions,
    unit_in_words,
)
from ctrbench.errors import DataError, raise_all
from ctrbench.importing.relations import (
    Relation,
    literal,
    make_table,
    make_view,
    one_row,
    quoted,
)
from ctrbench.printable import counted
from ctrbench.raw_ids import INTEGERS
from ctrbench.schema import LABEL, PERIODS, Field

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OPTIONAL = ("timestamp", "period", "history", "weight", "row_id")
LABELS = "write 0 or 1; write a rate as two weighted rows, one of clicks and one of non-clicks"


@dataclass(frozen=True)
class Log:
    """The files of a log, which have the same columns."""

    tables: list[Table]
    periods: list[str | None]  # of each file; None: not given
    clicks_only: bool  # every row is a click, so that no column `click` is required
    ignore_period: bool  # another split was requested
    options: ColumnOptions
    ids: dict[str, Kind] = field(default_factory=dict)  # how user_id and item_id are read
    time_format: str | None = None  # of text timestamps
    labels: tuple[str, ...] = ()  # columns of further labels
    drop_invalid: float | None = None  # share of invalid rows that are set aside; None: none

    @property
    def columns(self) -> dict[str, str]:
        """Column names and types of the first file."""
        return self.tables[0].types

    @property
    def padding(self) -> str | None:
        """The padding id of given histories."""
        return self.options.pad if "history" in self.columns else None

    @property
    def has_periods(self) -> bool:
        """Whether the log itself assigns rows to periods."""
        return "period" in self.columns or self.periods[0] is not None


@dataclass(frozen=True)
class TypedLog:
    """The impressions of a log, checked and typed."""

    impressions: Relation
    users: Relation | None  # from columns that describe the user; None: there are none
    fields: list[Field]  # of contexts and users
    notes: tuple[str, ...]  # notes for readers of tables
    counts: dict[str, int]
    invalid: Relation | None = None  # rows that were set aside, with their causes
    unit: str = ""  # of timestamps, in words; empty: there are none


def make_impressions(connection: DuckDBPyConnection, log: Log, user_fields: list[str]) -> TypedLog:
    """Return the impressions of a log, checked and typed.

    Args:
        connection: The database of the relations.
        log: The files of the log.
        user_fields: Columns that describe the user.

    Raises:
        DataError: A column is missing, or rows have invalid values.
    """
    _check_columns(log)
    times = []
    if "timestamp" in log.columns:
        times = open_times(connection, log.tables, time_format=log.time_format)
    own = {"user_id", "item_id", "click", *OPTIONAL, *log.labels, *user_fields}
    others = [column for column in log.columns if column not in own]
    rules = [
        _rules(log, index, times) + stated_rules(table, [*others, *user_fields], log.options)
        for index, table in enumerate(log.tables)
    ]
    invalid, dropped = None, {}
    if log.drop_invalid is None:
        _check_rules(connection, log.tables, rules)
    else:
        invalid = _broken_rows(connection, log.tables, rules)
        dropped = _count_causes(invalid)
        if sum(dropped.values()) > log.drop_invalid * sum(table.rows for table in log.tables):
            _check_rules(connection, log.tables, rules, log.drop_invalid)
        log, times = _without(connection, log, times, rules) if dropped else (log, times)
    _check_row_ids(connection, log)
    typed, notes = _typed(connection, log, times)
    context, values = read_fields(connection, log.tables, others, "context", log.options)
    users, user_values = read_fields(connection, log.tables, user_fields, "user", log.options)
    stored = log.clicks_only or "history" in log.columns  # several queries read them
    make = make_table if stored else make_view
    selects = [[*row, *_named(context, more)] for row, more in zip(typed, values, strict=True)]
    impressions, of_log = make(connection, "impressions", _union(log, selects)), None
    if users:
        selects = [
            [f"{_id(log, table, 'user_id')} AS user_id", *_named(users, row)]
            for table, row in zip(log.tables, user_values, strict=True)
        ]
        of_log = make_view(connection, "users of the log", _union(log, selects))
    notes = (
        *(
            f"{counted(count, 'row was', 'rows were')} set aside (invalid_rows.parquet): values of "
            f"'{column}' {problem}."
            for (column, problem), count in dropped.items()
        ),
        *_pad_notes(connection, log),
        *notes,
    )
    counts = {} if invalid is None else {"invalid_dropped": sum(dropped.values())}
    return TypedLog(
        impressions,
        of_log,
        context + users,
        notes,
        counts,
        invalid if dropped else None,
        unit_in_words(connection, times) if times else "",
    )


def _pad_notes(connection: DuckDBPyConnection, log: Log) -> list[str]:
    """Return a note on how often given histories contain the value of --pad."""
    pad, kind = log.options.pad, log.ids.get("item_id", "text")
    if pad is None or "history" not in log.columns:
        return []
    with_pad = replace(log.options, pad=None)
    entries = " UNION ALL ".join(
        f"SELECT unnest({ids_value(table, 'history', with_pad, kind)}) AS v FROM {table.relation}"
        for table in log.tables
    )
    query = f"SELECT count(*) FROM ({entries}) WHERE v::VARCHAR = {literal(pad)}"
    (met,) = one_row(connection, query)
    if met:
        return [f"--pad {pad} was removed from given histories {counted(met, 'time')}."]
    return [f"--pad {pad} does not occur in given histories."]


def _check_rules(
    connection: DuckDBPyConnection,
    tables: list[Table],
    rules: list[list[Rule]],
    share: float | None = None,
) -> None:
    """Check the rules of every table.

    Args:
        connection: The database of the tables.
        tables: The tables of the log.
        rules: The rules of each table.
        share: The share of invalid rows that --drop-invalid allows and that is exceeded.

    Raises:
        DataError: Rows break a rule.
    """
    problems = [
        problem
        for table, own in zip(tables, rules, strict=True)
        for problem in broken_rules(connection, table, own)
    ]
    heading = "these impressions cannot be used:"
    if share is not None:
        heading = f"more than {100 * share:g} % of the impressions cannot be used:"
    raise_all(problems, DataError, heading)


def _cause(rules: list[Rule]) -> str:
    """Return SQL for the index of the first rule that a row breaks; NULL for a valid row."""
    cases = (f"WHEN coalesce({r.wrong}, false) THEN {index}" for index, r in enumerate(rules))
    return f"CASE {' '.join(cases)} END"


def _broken_rows(
    connection: DuckDBPyConnection, tables: list[Table], rules: list[list[Rule]]
) -> Relation:
    """Return the invalid rows: file, row from 1, column, problem, and the row as JSON."""
    selects = []
    for table, own in zip(tables, rules, strict=True):
        columns = ", ".join(f"{literal(r.column)}" for r in own)
        problems = ", ".join(f"{literal(r.problem)}" for r in own)
        content = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in table.types)
        selects.append(
            f"""SELECT {literal(table.path)} AS file, row_number,
            [{columns}][1 + cause] AS "column", [{problems}][1 + cause] AS problem, content FROM (
                SELECT row_number() OVER () AS row_number, {_cause(own)} AS cause,
                to_json(struct_pack({content})) AS content FROM {table.relation})
            WHERE cause IS NOT NULL"""
        )
    return make_table(connection, "invalid rows", " UNION ALL ".join(selects))


def _count_causes(invalid: Relation) -> dict[tuple[str, str], int]:
    """Return the number of invalid rows by column and problem; a row counts once."""
    query = f'SELECT "column", problem, count(*) FROM {invalid} GROUP BY ALL ORDER BY ALL'
    return {
        (column, problem): count
        for column, problem, count in invalid.connection.execute(query).fetchall()
    }


def _without(
    connection: DuckDBPyConnection, log: Log, times: list[Times], rules: list[list[Rule]]
) -> tuple[Log, list[Times]]:
    """Return the log and its times without invalid rows.

    Raises:
        DataError: No row is valid.
    """
    tables = [
        filtered(connection, table, f"({_cause(own)}) IS NULL")
        for table, own in zip(log.tables, rules, strict=True)
    ]
    if not any(table.rows for table in tables):
        raise DataError("--drop-invalid drops every row of the log.")
    times = [replace(time, table=table) for time, table in zip(times, tables, strict=bool(times))]
    return replace(log, tables=tables), times


def _check_row_ids(connection: DuckDBPyConnection, log: Log) -> None:
    """Check that no two rows have the same `row_id`, which numbers the impressions.

    Raises:
        DataError: A row id occurs twice, which is often one file given twice.
    """
    if "row_id" not in log.columns:
        return
    rows = " UNION ALL ".join(
        f"SELECT {text(table, 'row_id')} AS row_id, {literal(table.path)} AS file "
        f"FROM {table.relation}"
        for table in log.tables
    )
    found = connection.execute(
        f"""SELECT row_id, list(DISTINCT file ORDER BY file), count(*) OVER () FROM ({rows})
        WHERE row_id IS NOT NULL GROUP BY row_id HAVING count(*) > 1 ORDER BY row_id LIMIT 5"""
    ).fetchall()
    if found:
        ids = ", ".join(row_id for row_id, *_ in found)
        raise DataError(
            f"{found[0][2]:,} row_id(s) occur several times ({ids}), in {', '.join(found[0][1])}. "
            "Remove the duplicates; if row_id does not number the impressions, give --drop row_id."
        )


def _check_columns(log: Log) -> None:
    """Check that every file has the required columns and those of the first file."""
    needed = ["user_id", "item_id"] + ["click"] * (not log.clicks_only)
    problems = []
    for table in {frozenset(table.types): table for table in reversed(log.tables)}.values():
        problems += missing_columns(table, needed)
    for table in log.tables:
        strange = sorted(set(table.types) ^ set(log.columns))
        if strange:
            problems.append(
                f"{table.path}: column(s) {', '.join(strange)} exist only in this file or only in "
                f"{log.tables[0].path}. Exclude them with --drop."
            )
        cut = {*log.options.separators, *log.options.printed}
        kind = table.types.get("history", "VARCHAR")
        if kind != "VARCHAR" and not element(kind):
            problems.append(
                f"{table.path}: 'history' has type {kind}. It must be a list of ids, or text."
            )
        elif "history" in table.types and kind == "VARCHAR" and "history" not in cut:
            problems.append(
                f"{table.path}: 'history' is text. Give its separator: --list 'history=^'."
            )
    if "click" in needed and any("click" not in table.types for table in log.tables):
        problems.append(
            "If the column has another name, give --rename is_click=click. If every row is a "
            "click, give --negatives 4."
        )
    raise_all(problems, DataError, "these impressions cannot be used:")


def _rules(log: Log, index: int, times: list[Times]) -> list[Rule]:
    table = log.tables[index]
    rules = []
    for name in ("user_id", "item_id"):
        absent, *others = _id_rules(log, table, name)
        rules += [replace(absent, cure=DROP), *others]
    if log.padding is not None:
        wrong = f"{_id(log, table, 'item_id')}::VARCHAR = {literal(log.padding)}"
        cure = "remove --pad or these impressions"
        what = f"are {log.padding}, which --pad declares as padding"
        rules.append(Rule("item_id", wrong, what, cure))
    rules += times[index].rules() if times else []
    if "click" in table.types:
        rules += click_rules(table)
    for name in log.labels:
        rules += click_rules(table, name)
    if "history" in table.types:
        rules += list_rules(table, "history", log.options) + history_rules(table, log.options)
        rules += ids_rules(table, "history", log.options, log.ids.get("item_id", "text"))
    if "weight" in table.types:
        value = number(table, "weight")
        wrong = f"NOT coalesce(TRY_CAST({value} AS FLOAT) > 0, false)"
        rules.append(Rule("weight", wrong, "are not positive 32-bit numbers"))
    if "period" in table.types and not log.ignore_period:
        wrong = f"{text(table, 'period')} NOT IN {PERIODS}"
        rules.append(missing(table, "period"))
        rules.append(Rule("period", wrong, f"are not one of {', '.join(PERIODS)}"))
    return rules


def _id_rules(log: Log, table: Table, column: str) -> list[Rule]:
    return id_rules(table, column, log.ids.get(column, "text"))


def _id(log: Log, table: Table, column: str) -> str:
    return id_value(table, column, log.ids.get(column, "text"))


def click_rules(table: Table, column: str = "click") -> list[Rule]:
    """Return the rules for clicks: present, and 0 or 1.

    Args:
        table: The table of the column.
        column: The column of clicks or of another label.
    """
    empty = missing(table, column)
    wrong = f"NOT ({empty.wrong}) AND NOT coalesce({click_value(table, column)} IN (0, 1), false)"
    return [empty, Rule(column, wrong, "are neither 0 nor 1", LABELS)]


def click_value(table: Table, column: str = "click") -> str:
    """Return SQL for the label as a number; accepts True and False, which pandas writes.

    Args:
        table: The table of the column.
        column: The column of clicks or of another label.
    """
    if table.types[column] in INTEGERS:
        return quoted(column)
    value = f"lower({text(table, column)})"
    words = f"CASE {value} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    return f"coalesce({words}, TRY_CAST({value} AS DOUBLE))"


def _typed(
    connection: DuckDBPyConnection, log: Log, times: list[Times]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """Return SQL for each table's columns other than fields, and notes on timestamps."""
    rows, notes = [], ()
    for table, period in zip(log.tables, log.periods, strict=True):
        click = f"({click_value(table)})::TINYINT" if "click" in table.types else "1::TINYINT"
        row = [f"{_id(log, table, column)} AS {column}" for column in ("user_id", "item_id")]
        row.append(f"{click} AS click")
        if log.has_periods and not log.ignore_period:
            value = text(table, "period") if period is None else literal(period)
            row.append(f"{value} AS period")
        row += [
            f"({click_value(table, name)})::TINYINT AS {quoted(LABEL + name)}"
            for name in log.labels
        ]
        if "weight" in table.types:
            row.append(f"({number(table, 'weight')})::FLOAT AS weight")
        if "history" in table.types:
            kind = log.ids.get("item_id", "text")
            row.append(f"{ids_value(table, 'history', log.options, kind)} AS history")
        rows.append(row)
    if times:
        moments, notes = timestamp_expressions(connection, times)
        for row, time in zip(rows, moments, strict=True):
            row.append(f"{time} AS timestamp")
    return rows, notes


def _named(fields: list[Field], values: list[str]) -> list[str]:
    return [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]


def _union(log: Log, selects: list[list[str]]) -> str:
    return " UNION ALL ".join(
        f"SELECT {', '.join(select)} FROM {table.relation}"
        for select, table in zip(selects, log.tables, strict=True)
    )
