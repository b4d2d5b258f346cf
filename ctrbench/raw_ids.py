"""One rule for ids of all files: which values are equal, missing or invalid.

- Integers become their digits. Floating-point numbers and decimals without a fraction are integers:
  `1001.0` and `1001.00` are 1001. Numbers with a fraction are invalid, and so are floating-point
  numbers too large to represent all integers.
- Text is unchanged: `007` differs from `7`, and `NA`, `null` and `None` are ids.
- A column of a CSV or text file has no type. It holds floating-point numbers if every value is
  written as a number and some as a floating-point number (`1001.0`, `1.5E7`). Programs write
  integer columns with missing values in this way.
- NULL, NaN and the empty text are missing ids.

The functions return SQL of DuckDB for tables on disk. `as_text` applies the rule to arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ctrbench.errors import DataError, raise_all, shortened

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

INTEGERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
)
EXACT = {"HALF": 2**11, "FLOAT": 2**24, "DOUBLE": 2**53}  # smaller integers have exact floats
TEXTS = ("VARCHAR", "UUID", "ENUM")
NUMBERS = "NUMBERS"  # pseudo type of a text column that holds floating-point numbers

_INTEGER = "-?(0|[1-9][0-9]*)"
# pandas: 1001.0, 1e+16; numpy: 1001.; Excel: 1.2E+17; Java: 1.0E7; Rust: 1e16. The pattern excludes
# codes such as 12E5.
_FLOAT = (
    rf"{_INTEGER}\.[0-9]*|{_INTEGER}(\.[0-9]+)?[eE]\+[0-9]+|{_INTEGER}\.[0-9]+E[0-9]+"
    rf"|{_INTEGER}(\.[0-9]+)?(e1[6-9]|e[2-9][0-9])"
)
EXAMPLES = 5  # wrong ids named in a message
ENOUGH = 10  # distinct ids; fewer may all be multiples of a thousand by chance
BLANKS = " \t"  # not part of an id of a text file; others, such as U+00A0, are


def expression(value: str, kind: str) -> str:
    """Return SQL for an id as text; NULL if it is missing.

    Args:
        value: SQL of the id.
        kind: Its DuckDB type, or `NUMBERS`.
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
    """Return an SQL condition that holds if the id is missing.

    Args:
        value: SQL of the id.
        kind: Its DuckDB type, or `NUMBERS`.
    """
    if kind in EXACT:
        return f"({value} IS NULL OR isnan({value}))"
    if kind in INTEGERS:
        return f"{value} IS NULL"
    if kind == "BLOB":
        return f"coalesce(octet_length({value}), 0) = 0"
    return f"nullif({value}::VARCHAR, '') IS NULL"


def refusals(value: str, kind: str) -> list[tuple[str, str]]:
    """Return the causes of invalid ids: SQL conditions and predicates for messages.

    A predicate follows "3 value(s) of 'item_id'".

    Args:
        value: SQL of the id.
        kind: Its DuckDB type, or `NUMBERS`.
    """
    unsuitable = f"are of type {kind} instead of integers or text"
    if kind.endswith("]"):  # lists, also of text
        return [(f"{value} IS NOT NULL", unsuitable)]
    if kind in EXACT:
        return _no_whole_numbers(value, EXACT[kind], f"isinf({value})")
    if kind == NUMBERS:
        number = f"CASE WHEN {_written_as_float(value)} THEN TRY_CAST({value} AS DOUBLE) END"
        return _no_whole_numbers(number, EXACT["DOUBLE"], "false")
    if kind.startswith("DECIMAL"):
        return [(f"{value} % 1 <> 0", "have a fraction")]
    if kind == "BLOB":
        no_text = f"coalesce(TRY(contains(decode({value}), chr(0))), true)"  # as binary numbers
        return [(f"{no_text} AND {value} IS NOT NULL", "are not text in UTF-8")]
    if kind in INTEGERS or kind.startswith(TEXTS) or kind == '"NULL"':
        return []
    return [(f"{value} IS NOT NULL", unsuitable)]


def holds_floats(value: str) -> str:
    """Return an SQL aggregate: every value of an untyped column is written as a number.

    The column holds floating-point numbers (`NUMBERS`) if `written_as_floats` is true as well.
    """
    return f"bool_and(regexp_full_match({value}, '{_INTEGER}|{_FLOAT}')) FILTER ({value} <> '')"


def written_as_floats(value: str) -> str:
    """Return an SQL aggregate: some value is written as a floating-point number."""
    return f"bool_or({_written_as_float(value)}) FILTER ({value} <> '')"


def rounded(value: str) -> str:
    """Return an SQL aggregate: an id in scientific notation, if all of these appear rounded.

    Spreadsheets show six digits of a long number, such as 2.03253E+11, and save what they show.
    The aggregate is NULL if the ids are exact. The column holds only numbers.
    """
    scientific = f"FILTER (regexp_matches({value}, '[eE]'))"
    return f"""CASE WHEN count(DISTINCT {value}) {scientific} >= {ENOUGH}
        AND bool_and(TRY_CAST({value} AS DOUBLE) % 1000 = 0) {scientific}
        THEN min({value}) {scientific} END"""


def refuse_rounded(example: str | None, where: object) -> None:
    """Raise an error if `rounded` found ids.

    Args:
        example: The result of `rounded`.
        where: The file, and its column if it has several.

    Raises:
        DataError: Ids are rounded.
    """
    if example is not None:
        raise DataError(
            f"{where}: all ids in scientific notation, such as {example}, are multiples of 1,000: "
            "a program rounded them. Export them again as integers or text."
        )


def as_text(
    ids: np.ndarray | pa.Array | Sequence[str], where: object, typed: bool = True
) -> list[str]:
    """Return ids as text, in their order.

    Args:
        ids: (n,) integers, floats, decimals, text or bytes.
        where: The file, and its column if it has several, for messages.
        typed: Whether the file declares the type of its ids; a text file does not.

    Raises:
        DataError: Ids are missing or invalid.

    >>> as_text(["1001.0", "7"], "ids.csv", typed=False)
    ['1001', '7']
    """
    import duckdb
    import pyarrow as pa

    try:
        values = _arrow(ids, where)
    except (UnicodeError, ValueError) as error:  # half of a character, or beyond the last one
        raise DataError(f"{where}: ids are not valid text: {error}. Save them again.") from error
    with duckdb.connect() as connection:
        connection.register("ids", pa.table({"id": values}))
        kind = connection.execute("DESCRIBE ids").fetchall()[0][1]
        if not typed:
            query = f"SELECT {holds_floats('id')} AND {written_as_floats('id')} FROM ids"
            kind = NUMBERS if (connection.execute(query).fetchone() or [False])[0] else kind
        if kind == NUMBERS:
            query = f"SELECT {rounded('id')} FROM ids"
            refuse_rounded((connection.execute(query).fetchone() or [None])[0], where)
        wrong = [(absent("id", kind), "are missing"), *refusals("id", kind)]
        problems = [problem for rule in wrong if (problem := _broken(connection, *rule))]
        raise_all(problems, DataError, f"{where}: these ids cannot be used:")
        found = connection.sql(f"SELECT {expression('id', kind)} AS id FROM ids")
        return found.to_arrow_table()["id"].to_pylist()


def _broken(connection: Any, wrong: str, predicate: str) -> str:
    """Return the problem of the ids that meet a condition; empty if there is none."""
    rows = connection.execute(
        f"""SELECT row, id::VARCHAR, count(*) OVER ()
        FROM (SELECT *, row_number() OVER () AS row FROM ids)
        WHERE {wrong} ORDER BY row LIMIT {EXAMPLES}"""
    ).fetchall()
    shown = ", ".join(
        f"row {row}" + (f" ({shortened(value)})" if value else "") for row, value, _ in rows
    )
    return f"{rows[0][2]:,} id(s) {predicate}: {shown}" if rows else ""


def _no_whole_numbers(number: str, exact: int, infinite: str) -> list[tuple[str, str]]:
    fraction = f"NOT isnan({number}) AND NOT ({infinite}) AND {number} <> trunc({number})"
    inexact = f"NOT isnan({number}) AND NOT ({infinite}) AND abs({number}) >= {exact}"
    power = exact.bit_length() - 1
    return [
        (infinite, "are infinite"),
        (f"({fraction}) AND NOT ({inexact})", "have a fraction"),
        (
            inexact,
            f"are floating-point numbers of 2^{power} or more, whose last digits are lost: write "
            "IDs as integers or text",
        ),
    ]


def _written_as_float(value: str) -> str:
    return f"regexp_full_match({value}, '{_FLOAT}')"


def _arrow(ids: Any, where: object) -> pa.Array | pa.ChunkedArray:
    """Return the ids as an array that DuckDB can read."""
    import numpy as np
    import pyarrow as pa

    if isinstance(ids, np.ndarray):
        known = ids.dtype.kind in "iuUS" or (ids.dtype.kind == "f" and ids.dtype.itemsize <= 8)
        if ids.ndim != 1 or not known:
            raise DataError(
                f"{where}: ids are {ids.dtype} of shape {ids.shape}, but must be one list of "
                "integers or text. Convert them before saving."
            )
        ids = ids.astype(ids.dtype.newbyteorder("="), copy=False)  # Arrow requires native order
        if ids.dtype.kind == "U" and ids.dtype.itemsize:
            _refuse_no_text(ids)
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


def _refuse_no_text(ids: np.ndarray) -> None:
    """Raise an error for numbers that are no characters, from which numpy makes invalid text."""
    import numpy as np

    largest = np.ascontiguousarray(ids).view(np.uint32).max(initial=0)
    if largest > sys.maxunicode:
        raise ValueError(f"{largest:#x} is no character")


def _of_long_decimals(ids: Any, where: object) -> pa.Array:
    """Return decimals that are too long for DuckDB, as digits."""
    import pyarrow as pa

    try:
        return ids.cast(pa.decimal256(76, 0)).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{where}: ids of type {ids.type} have a fraction. Write them as integers or text."
        ) from error


def _of_halves(ids: np.ndarray, where: object) -> pa.Array:
    """Return half floats as 32-bit floats, because DuckDB has no half floats."""
    import numpy as np
    import pyarrow as pa

    inexact = np.isfinite(ids) & (np.abs(ids) >= 2**11)
    if inexact.any():
        raise DataError(
            f"{where}: {np.count_nonzero(inexact):,} id(s) are half floats of 2^11 or more, whose "
            "last digits are lost: write ids as integers or text."
        )
    return pa.array(ids.astype(np.float32))
