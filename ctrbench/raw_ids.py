"""One rule for ids, whichever file they come from: what is the same item, and what is no id.

- Whole numbers are their digits. Floating point numbers and decimals without a fraction are whole
  numbers: `1001.0` and `1001.00` are 1001. Those with a fraction are no ids, nor are numbers so
  large that a float cannot tell them from their neighbours.
- Text is taken as it stands: `007` is not `7`, and `NA`, `null` and `None` are ids.
- A column of a CSV or text file has no type. Where every value is written as a number and some as a
  floating point number (`1001.0`, `1.5E7`), as tables with missing ids are written, the column
  holds floating point numbers.
- NULL, NaN and the empty text are a missing id.

All of it is SQL of DuckDB, for tables on the disk; `as_text` gives arrays the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ctrbench.errors import DataError, raise_all

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

INTEGERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
)
EXACT = {"HALF": 2**11, "FLOAT": 2**24, "DOUBLE": 2**53}  # from here on whole numbers share one
TEXTS = ("VARCHAR", "UUID", "ENUM")
NUMBERS = "NUMBERS"  # of a text: a column of a file without types that holds floating point numbers

_INTEGER = "-?(0|[1-9][0-9]*)"
# pandas: 1001.0, 1e+16; numpy: 1001.; Excel: 1.2E+17; Java: 1.0E7; Rust: 1e16. A code such as
# 12E5 is none of these.
_FLOAT = (
    rf"{_INTEGER}\.[0-9]*|{_INTEGER}(\.[0-9]+)?[eE]\+[0-9]+|{_INTEGER}\.[0-9]+E[0-9]+"
    rf"|{_INTEGER}(\.[0-9]+)?(e1[6-9]|e[2-9][0-9])"
)
EXAMPLES = 5  # wrong ids named in a message
BLANKS = " \t"  # not part of an id of a text file; others, such as U+00A0, are


def expression(value: str, kind: str) -> str:
    """SQL for an id as text, NULL where it is missing.

    Args:
        value: SQL of the id.
        kind: DuckDB's type of it, or `NUMBERS`.
    """
    if kind in EXACT:
        return f"CASE WHEN NOT isnan({value}) THEN {value}::HUGEINT::VARCHAR END"
    if kind.startswith("DECIMAL"):
        return f"{value}::HUGEINT::VARCHAR"
    if kind == NUMBERS:
        number = f"{value}::DOUBLE::HUGEINT::VARCHAR"
        return f"CASE WHEN {_written_as_float(value)} THEN {number} ELSE nullif({value}, '') END"
    if kind == "BLOB":
        return f"nullif(decode({value}), '')"
    return f"nullif({value}::VARCHAR, '')"


def without_blanks(value: str) -> str:
    """Return SQL for a text without surrounding `BLANKS`."""
    return f"trim({value}, '{BLANKS}')"


def absent(value: str, kind: str) -> str:
    """SQL condition: the id is missing."""
    if kind in EXACT:
        return f"({value} IS NULL OR isnan({value}))"
    if kind == "BLOB":
        return f"coalesce(octet_length({value}), 0) = 0"
    return f"nullif({value}::VARCHAR, '') IS NULL"


def refusals(value: str, kind: str) -> list[tuple[str, str]]:
    """What is no id: SQL conditions that hold for a bad value, and how to tell of it.

    The words continue "3 values of 'item_id' ...".
    """
    of_no_kind = f"are of type {kind}, and no ids: give whole numbers or text"
    if kind.endswith("]"):  # lists of anything, also of text
        return [(f"{value} IS NOT NULL", of_no_kind)]
    if kind in EXACT:
        return _no_whole_numbers(value, EXACT[kind], f"isinf({value})")
    if kind == NUMBERS:
        number = f"CASE WHEN {_written_as_float(value)} THEN TRY_CAST({value} AS DOUBLE) END"
        return _no_whole_numbers(number, EXACT["DOUBLE"], "false")
    if kind.startswith("DECIMAL"):
        return [(f"{value} % 1 <> 0", "have a fraction, and are no ids")]
    if kind == "BLOB":
        return [(f"TRY(decode({value})) IS NULL AND {value} IS NOT NULL", "are no text in UTF-8")]
    if kind in INTEGERS or kind.startswith(TEXTS) or kind == '"NULL"':
        return []
    return [(f"{value} IS NOT NULL", of_no_kind)]


def holds_floats(value: str) -> str:
    """SQL aggregate: whether a column without a type holds floating point numbers (`NUMBERS`).

    True also where no value is written as a float, but all could stand beside one that is; ask
    `written_as_floats` as well.
    """
    return f"bool_and(regexp_full_match({value}, '{_INTEGER}|{_FLOAT}')) FILTER ({value} <> '')"


def written_as_floats(value: str) -> str:
    """SQL aggregate: whether some value is written as a floating point number."""
    return f"bool_or({_written_as_float(value)}) FILTER ({value} <> '')"


def as_text(
    ids: np.ndarray | pa.Array | Sequence[str], where: object, typed: bool = True
) -> list[str]:
    """Ids as text, in their order.

    Args:
        ids: (n,) integers, floats, decimals, text or bytes.
        where: the file, and its column if it has several.
        typed: whether the file says of which type its ids are; a text file does not.

    Raises:
        DataError: ids are missing, or no ids.

    >>> as_text(["1001.0", "7"], "ids.csv", typed=False)
    ['1001', '7']
    """
    import duckdb
    import pyarrow as pa

    values = _arrow(ids, where)
    with duckdb.connect() as connection:
        connection.register("ids", pa.table({"id": values}))
        kind = connection.execute("DESCRIBE ids").fetchall()[0][1]
        if not typed:
            query = f"SELECT {holds_floats('id')} AND {written_as_floats('id')} FROM ids"
            kind = NUMBERS if (connection.execute(query).fetchone() or [False])[0] else kind
        wrong = [(absent("id", kind), "are missing"), *refusals("id", kind)]
        problems = [problem for rule in wrong if (problem := _broken(connection, *rule))]
        raise_all(problems, DataError, f"{where}: these ids cannot be used:")
        found = connection.sql(f"SELECT {expression('id', kind)} AS id FROM ids")
        return found.to_arrow_table()["id"].to_pylist()


def _broken(connection: Any, wrong: str, told: str) -> str:
    """The problem of the ids that a condition holds for; empty: of none."""
    rows = connection.execute(
        f"""SELECT row, id::VARCHAR, count(*) OVER ()
        FROM (SELECT *, row_number() OVER () AS row FROM ids)
        WHERE {wrong} ORDER BY row LIMIT {EXAMPLES}"""
    ).fetchall()
    shown = ", ".join(f"row {row}" + (f" ({value})" if value else "") for row, value, _ in rows)
    return f"{rows[0][2]:,} ids {told}: {shown}" if rows else ""


def _no_whole_numbers(number: str, exact: int, infinite: str) -> list[tuple[str, str]]:
    fraction = f"NOT isnan({number}) AND NOT ({infinite}) AND {number} <> trunc({number})"
    inexact = f"NOT isnan({number}) AND NOT ({infinite}) AND abs({number}) >= {exact}"
    power = exact.bit_length() - 1
    return [
        (infinite, "are infinite, and no ids"),
        (f"({fraction}) AND NOT ({inexact})", "have a fraction, and are no ids"),
        (
            inexact,
            f"are floating point numbers of 2^{power} or more, which are ambiguous: write IDs as "
            "integers or text",
        ),
    ]


def _written_as_float(value: str) -> str:
    return f"regexp_full_match({value}, '{_FLOAT}')"


def _arrow(ids: Any, where: object) -> pa.Array | pa.ChunkedArray:
    """The ids as an array that DuckDB can read."""
    import numpy as np
    import pyarrow as pa

    if isinstance(ids, np.ndarray):
        known = ids.dtype.kind in "iuUS" or (ids.dtype.kind == "f" and ids.dtype.itemsize <= 8)
        if ids.ndim != 1 or not known:
            raise DataError(
                f"{where}: ids are {ids.dtype} of shape {ids.shape}; expected one list of whole "
                "numbers or text. Convert them before saving."
            )
        ids = ids.astype(ids.dtype.newbyteorder("="), copy=False)  # Arrow knows no other order
        if ids.dtype == np.float16:
            return _of_halves(ids, where)
        return pa.array(ids.tolist() if ids.dtype.kind in "US" else ids)
    if not isinstance(ids, pa.Array | pa.ChunkedArray):
        return pa.array(ids, pa.string())
    if pa.types.is_decimal256(ids.type):
        return _of_long_decimals(ids, where)
    if pa.types.is_float16(ids.type):
        return _of_halves(ids.to_numpy(), where)
    return ids


def _of_long_decimals(ids: Any, where: object) -> pa.Array:
    """Decimals longer than DuckDB knows, as digits."""
    import pyarrow as pa

    try:
        return ids.cast(pa.decimal256(76, 0)).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{where}: ids of type {ids.type} have a fraction, and are no ids."
        ) from error


def _of_halves(ids: np.ndarray, where: object) -> pa.Array:
    """Half floats as numbers of twice the width, which DuckDB knows."""
    import numpy as np
    import pyarrow as pa

    inexact = np.isfinite(ids) & (np.abs(ids) >= 2**11)
    if inexact.any():
        raise DataError(
            f"{where}: {np.count_nonzero(inexact):,} ids are half floats of 2^11 or more, which "
            "are ambiguous: write ids as integers or text."
        )
    return pa.array(ids.astype(np.float32))
