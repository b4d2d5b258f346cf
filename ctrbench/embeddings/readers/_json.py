"""Ids that are written as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ctrbench.errors import DataError, shortened
from ctrbench.raw_ids import EXACT, EXAMPLES

LONE = re.compile("[\ud800-\udfff]")  # half of a character, which no file of text can hold
MOST_BITS = 1 << 12  # of an integer


def ids_of_values(values: Sequence[Any], where: object, lines: Sequence[int] = ()) -> list[str]:
    """Return ids as text; integers are exact at any size.

    Args:
        values: JSON values, in order.
        where: The file, for messages.
        lines: The number of the line of each value; by default, messages count values from 1.

    Raises:
        DataError: Ids are missing or are neither integers nor text.

    >>> ids_of_values([7, "007", 8.0, 18446744073709551557], "ids.json")
    ['7', '007', '8', '18446744073709551557']
    """
    ids, problems = [], []
    for row, value in zip(lines or range(1, len(values) + 1), values, strict=True):
        raw = _id(value)
        ids.append(raw or "")
        if raw is None:
            brief = value is None or isinstance(value, str | float | bool)  # others may be huge
            shown = shortened(repr(value)) if brief else type(value).__name__
            problems.append(f"{'line' if lines else 'row'} {row:,} ({shown})")
    if problems:
        more = f" and {len(problems) - EXAMPLES:,} more" * (len(problems) > EXAMPLES)
        raise DataError(
            f"{where}: these ids cannot be used: {', '.join(problems[:EXAMPLES])}{more}. Write ids "
            "as integers or text; floating-point numbers of 2^53 or more are ambiguous."
        )
    return ids


def _id(value: Any) -> str | None:
    """Return an id as text; None if it is missing or of another type."""
    if isinstance(value, str):
        return value if value and not LONE.search(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= MOST_BITS else None
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT["DOUBLE"]:
        return str(int(value))
    return None
