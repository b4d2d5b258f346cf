"""Number raw ids and field values densely, independently of the order of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.errors import DataError
from ctrbench.importing.raw import Raw
from ctrbench.importing.relations import (
    Relation,
    fill_table,
    make_table,
    make_view,
    one_row,
    quoted,
)
from ctrbench.printable import counted
from ctrbench.schema import LABEL, Field

if TYPE_CHECKING:
    import pyarrow as pa

OWNERS = ("user", "item", "context")
LIST_ROWS = 1 << 15  # lists held in memory at a time
CODES = "_codes_"  # of a list field: prefix of the column


@dataclass(frozen=True)
class Ids:
    """Dense ids from 1, and the raw ids that they represent."""

    users: Relation  # raw_id, user_id
    items: Relation  # raw_id, item_id, listed: whether the items file has a row


@dataclass(frozen=True)
class Histories:
    """Distinct given lists, laid end to end."""

    lists: Relation  # _history, length, start: one row per list
    entries: Relation  # place, item_id: one row per item of a list, in no order


@dataclass(frozen=True)
class EncodedField:
    """A field, and the codes of its values."""

    field: Field  # with its size
    values: Relation | None = None  # value, code from 1; None: numeric or text
    lists: Relation | None = None  # codes: the list of each raw row, in their order; None: no lists

    def expression(self, row: str) -> tuple[str, str]:
        """Return SQL of the field as the data set stores it, and of the join that it requires.

        Args:
            row: SQL name of the rows that hold the raw field, from `with_codes`.
        """
        raw, name = f"{row}.{quoted(self.field.name)}", quoted(self.field.name)
        if self.lists is not None:
            codes = quoted(CODES + self.field.name)
            return f"coalesce({row}.{codes}, []::INTEGER[]) AS {name}", ""
        if self.values is not None:
            code = f"coalesce({self.values}.code, 0) AS {name}"
            return code, f"LEFT JOIN {self.values} ON {self.values}.value = {raw}"
        return f"{raw}{'::FLOAT' * (self.field.kind == 'numeric')} AS {name}", ""


def with_codes(rows: Relation, fields: Sequence[EncodedField], more: str = "") -> str:
    """Return SQL of raw rows, each with the codes of its lists.

    Args:
        rows: The raw rows.
        fields: Their fields.
        more: SQL of further columns, each after a comma.
    """
    coded = [one for one in fields if one.lists is not None]
    codes = [f", {one.lists}.codes AS {quoted(CODES + one.field.name)}" for one in coded]
    joins = [f" POSITIONAL JOIN {one.lists}" for one in coded]
    return f"(SELECT {rows}.*{''.join(codes)}{more} FROM {rows}{''.join(joins)})"


def number_ids(raw: Raw) -> Ids:
    """Number users and items.

    Users are those with an impression. Items are those of the items file, those shown, and those
    in a history.
    """
    log = raw.impressions
    users = make_table(log.connection, "raw users", f"SELECT DISTINCT user_id AS raw_id FROM {log}")
    user_ids = make_table(
        log.connection,
        "user ids",
        f"""SELECT raw_id, (row_number() OVER (ORDER BY {_canonical_order(users, "raw_id")}))
        ::INTEGER AS user_id FROM {users}""",
    )
    sources = [f"SELECT DISTINCT item_id AS raw_id, false AS listed FROM {log}"]
    if raw.items is not None:
        sources.append(f"SELECT item_id, true FROM {raw.items}")
    if raw.has_history:
        sources.append(f"SELECT DISTINCT unnest(history), false FROM {raw.histories or log}")
    items = make_table(
        log.connection,
        "raw items",
        f"""SELECT raw_id, bool_or(listed) AS listed
        FROM ({" UNION ALL ".join(sources)}) GROUP BY raw_id""",
    )
    item_ids = make_table(
        log.connection,
        "item ids",
        f"""SELECT raw_id, listed, (row_number() OVER (ORDER BY
        {_canonical_order(items, "raw_id")}))::INTEGER AS item_id FROM {items}""",
    )
    return Ids(user_ids, item_ids)


def encode_field(raw: Raw, field: Field) -> EncodedField:
    """Number the values of a categorical or list field from 1; other fields have no codes.

    Args:
        raw: The relations that hold the field. Those of a list field are tables.
        field: A field of them, without its size.
    """
    if field.kind not in ("categorical", "list"):
        return EncodedField(field)
    rows, name = raw.of(field.of), quoted(field.name)
    assert rows is not None  # the field was read from it
    one = f"unnest({name})" if field.kind == "list" else name
    distinct = make_table(
        rows.connection,
        f"values of {field.name}",
        f"SELECT DISTINCT value FROM (SELECT {one} AS value FROM {rows}) WHERE value <> ''",
    )
    values = make_table(
        rows.connection,
        f"codes of {field.name}",
        f"""SELECT value, (row_number() OVER (ORDER BY {_canonical_order(distinct, "value")}))
        ::INTEGER AS code FROM {distinct}""",
    )
    lists = _lists(rows, name, values) if field.kind == "list" else None
    (size,) = values.one_row("count(*)")
    return EncodedField(field.model_copy(update={"size": size}), values, lists)


def _lists(rows: Relation, name: str, values: Relation) -> Relation:
    """Return the codes of the list of each row, in the order of rows.

    The values are in memory, the lists are not: a query that groups them would hold all of them.
    """
    parts = _coded_lists(rows, name, values)
    return fill_table(rows.connection, "lists of codes", {"codes": "INTEGER[]"}, parts)


def _coded_lists(rows: Relation, name: str, values: Relation) -> Iterator[tuple[pa.Array]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    cursor = rows.connection.cursor()
    ordered = cursor.sql(f"SELECT value FROM {values} ORDER BY code").to_arrow_table()
    known = pc.SetLookupOptions(ordered["value"])
    lists = rows.connection.cursor().sql(f"SELECT coalesce({name}, []) FROM {rows}")
    for batch in lists.to_arrow_reader(LIST_ROWS):
        (column,) = batch.columns
        place = pc.call_function("index_in", [column.flatten()], known)  # missing ones are null
        lengths = column.value_lengths().to_numpy()
        ends = np.cumsum(np.append(0, place.is_valid().to_numpy(zero_copy_only=False)))
        ends = ends[np.cumsum(np.append(0, lengths))]
        codes = place.drop_null().to_numpy() + 1
        yield (pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(codes)),)


def _canonical_order(relation: Relation, column: str) -> str:
    """Return the SQL order of a column: by number if all values are whole numbers, else by text."""
    name = quoted(column)
    if relation.columns[column] != "VARCHAR":
        return name
    (whole,) = relation.one_row(f"bool_and(regexp_full_match({name}, '[0-9]+'))")
    if not whole:
        return name
    digits = f"ltrim({name}, '0')"
    return f"length({digits}), {digits}, {name}"


def row_order(raw: Raw, fields: Sequence[EncodedField]) -> tuple[str, ...]:
    """Return the columns of encoded rows by which they are sorted.

    Rows are sorted by time, then by all other columns. Without timestamps they keep the order of
    the files.

    Args:
        raw: The log.
        fields: Its fields.
    """
    if not raw.has_timestamp:
        return ("_line",)
    context = [quoted(one.field.name) for one in fields if one.field.of == "context"]
    weight = ["weight"] * ("weight" in raw.impressions.columns)
    more = ["_history"] * raw.has_history + ["_length"] * (raw.histories is not None)
    more += ["_unit"] * (raw.snapshot.column is not None)
    labels = [quoted(LABEL + name) for name in raw.labels]
    return ("timestamp", "user_id", "item_id", "click", *labels, *weight, *context, *more)


def encode_rows(
    raw: Raw, ids: Ids, fields: Sequence[EncodedField], order: tuple[str, ...]
) -> Relation:
    """Return the impressions as numbers, sorted; the names of helper columns start with '_'.

    Args:
        raw: The log. Its impressions are a table if they contain lists.
        ids: Numbers of its users and items.
        fields: Codes of its fields.
        order: The columns to sort by.
    """
    log, columns = raw.impressions, raw.impressions.columns
    chosen = ["users.user_id", "items.item_id", "click::TINYINT AS click"]
    joins = [
        f"JOIN {ids.users} AS users ON users.raw_id = log.user_id",
        f"JOIN {ids.items} AS items ON items.raw_id = log.item_id",
    ]
    chosen.append("timestamp::BIGINT AS timestamp" if raw.has_timestamp else "_line")
    chosen += [f"{name}::FLOAT AS {name}" for name in ("weight", "p_true") if name in columns]
    chosen += [f"{quoted(LABEL + name)}::TINYINT AS {quoted(LABEL + name)}" for name in raw.labels]
    if "period" in columns:
        draw = "md5_number_lower(concat(log.user_id, chr(31), log.item_id))"
        chosen += ["period AS _period", f"{draw} AS _draw"]
    if raw.histories is not None:
        chosen += ["log.history_key AS _history", "log.history_length::INTEGER AS _length"]
    elif raw.has_history:
        chosen += [f"{_history_key('log.history')} AS _history", "_list"]
    if raw.snapshot.column is not None:
        value = f"nullif(log.{quoted(raw.snapshot.column)}::VARCHAR, '')"
        chosen.append(f"CASE WHEN {value} IS NOT NULL THEN md5_number_lower({value}) END AS _unit")
    for one in fields:
        if one.field.of == "context":
            expression, join = one.expression("log")
            chosen.append(expression)
            joins.append(join)
    more = ", row_number() OVER () AS _line" * (not raw.has_timestamp)
    more += f", {log}.rowid AS _list" * (raw.has_history and raw.histories is None)
    source = with_codes(log, [one for one in fields if one.field.of == "context"], more)
    rows = f"SELECT {', '.join(chosen)} FROM {source} AS log {' '.join(joins)}"
    query = f"FROM ({rows}) ORDER BY {', '.join(order)}"
    return make_table(log.connection, "encoded rows", query)


def number_histories(raw: Raw, ids: Ids, encoded: Relation) -> Histories:
    """Lay the distinct given lists end to end, in the order of their first use.

    Args:
        raw: A log with given histories. Its impressions are a table, or it has `histories`.
        ids: Numbers of its items.
        encoded: Its impressions as numbers.

    Raises:
        DataError: An impression has a longer history than its list.
    """
    moment = "timestamp" if raw.has_timestamp else "_line"
    given = f"SELECT rowid AS _list, history FROM {raw.impressions}"
    if raw.histories is not None:
        given = f"SELECT history_key AS _list, history FROM {raw.histories}"
    of_list = "_history" if raw.histories is not None else "min(_list)"
    lists = make_table(
        encoded.connection,
        "history lists",
        f"""WITH used AS (SELECT _history, {of_list} AS _list, min({moment}) AS first
            FROM {encoded} WHERE _history IS NOT NULL GROUP BY _history)
        SELECT _history, _list, length, (sum(length) OVER (
            ORDER BY first, _history ROWS UNBOUNDED PRECEDING) - length)::BIGINT AS start
        FROM (SELECT _history, _list, len(history)::INTEGER AS length, first
            FROM used JOIN ({given}) USING (_list))""",
    )
    if raw.histories is not None:
        _check_lengths(encoded, lists)
    entries = make_view(
        encoded.connection,
        "history entries",
        f"""SELECT place, ids.item_id
        FROM (SELECT unnest(history) AS raw_id, start + generate_subscripts(history, 1) - 1 AS place
              FROM ({given}) JOIN {lists} USING (_list))
        JOIN {ids.items} AS ids USING (raw_id)""",  # DuckDB 2.0.0 fails if `start` is joined twice
    )
    return Histories(lists, entries)


def _check_lengths(encoded: Relation, lists: Relation) -> None:
    """Raise an error if an impression has a longer history than its list."""
    wrong, longest = one_row(
        encoded.connection,
        f"""SELECT count(*), max(_length) FROM {encoded} LEFT JOIN {lists} USING (_history)
        WHERE _length < 0 OR _length > coalesce(length, 0)""",
    )
    if wrong:
        raise DataError(
            f"{counted(wrong, 'impression has', 'impressions have')} a longer history (at most "
            f"{counted(longest, 'item')}) than the list of the user. The files do not belong "
            "together, or are incomplete."
        )


def _history_key(history: str) -> str:
    """Return SQL for a 128-bit key of a list of raw ids; NULL for an empty list."""
    return f"md5_number(nullif(array_to_string({history}, chr(31)), ''))"
