"""Errors that a user can fix: the CLI prints only the message and exits with code 2."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ctrbench.printable import printable

LONGEST = 80  # characters of a value in a message
LONGEST_MESSAGE = 30_000  # characters
MOST_PROBLEMS = 50  # of one message


class CtrBenchError(Exception):
    """A mistake outside our code; its message names the mistake, its place and the fix."""

    def __str__(self) -> str:
        r"""Return the message without control characters, since names come from strangers.

        >>> str(CtrBenchError("no column '\x1b[2J'"))
        "no column '␛[2J'"
        """
        text = super().__str__()
        cut = text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."
        return printable(cut)


class ConfigError(CtrBenchError):
    """A benchmark file or an option is wrong."""


class SettingsError(ConfigError):
    """Settings are unknown or out of range."""

    def __init__(self, message: str, setting: str = "") -> None:
        """Store the message and the setting.

        Args:
            message: The message about all wrong settings.
            setting: The first known setting that is out of range; empty if there is none.
        """
        super().__init__(message)
        self.setting = setting


class DataError(CtrBenchError):
    """A file, an array or a table has invalid content."""


class UnknownNameError(CtrBenchError):
    """A name does not exist; the message suggests the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(unknown_name(kind, name, known) + (f" {hint}" if hint else ""))


class ContractError(CtrBenchError):
    """A contender (a mode, an importer, a report) violates its contract."""


class DivergedError(CtrBenchError):
    """The loss, gradient, weights or predictions of a training became infinite or NaN."""


class StoreError(CtrBenchError):
    """The workspace cannot be read or written: full disk, read-only disk, damaged record."""


class DamagedError(StoreError):
    """A stored file is damaged, was edited, or belongs to another cell."""


def shortened(value: str) -> str:
    """Return a value for a message, without what exceeds 80 characters.

    >>> shortened("ab"), shortened("a" * 100)[-5:]
    ('ab', 'aa...')
    """
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}..."


def first_line(text: object) -> str:
    r"""Return the first line of a text, or of the message of an error, which may be empty.

    >>> first_line("damaged\nat byte 7"), first_line(EOFError())
    ('damaged', 'unknown cause')
    """
    return next(iter(str(text).strip().splitlines()), "unknown cause")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name.

    Args:
        kind: What the name denotes.
        name: The unknown name.
        known: The valid names.

    >>> unknown_name("mode", "simscore", ["none", "sim_score"])
    "no mode 'simscore'; known: none, sim_score. Did you mean 'sim_score'?"
    """
    names = sorted(known)
    listed = ", ".join(names) if names else "none yet"
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    suggestion = f" Did you mean '{near[0]}'?" if near else ""
    return f"no {kind} '{name}'; known: {listed}.{suggestion}"


REFUSALS = {  # pydantic's type of an error -> message; {…} are pydantic's limits
    "missing": "missing; add it",
    "invalid_key": "a key must be text",
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list, such as [a, b]"),
    **dict.fromkeys(("dict_type", "model_type"), "must contain `key: value` pairs"),
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
    "string_type": "must be text, in quotes if it looks like a number",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    "finite_number": "must be a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
}


def refusal(detail: Mapping[str, Any]) -> str:
    """Return the message for one of pydantic's errors: what is allowed and what was given.

    >>> refusal({"type": "greater_than", "ctx": {"gt": 0}, "msg": "", "input": -1})
    'must be above 0 (given: -1)'
    """
    words = REFUSALS.get(detail["type"])
    limits = detail.get("ctx", {})
    allowed = words.format_map(limits) if words else detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    brief = isinstance(given, str | int | float | bool | list | None)
    shown = "nothing" if given is None else repr(given)
    ending = f" (given: {shown})" if brief and detail["type"] != "missing" else ""
    return allowed + ending


def raise_all(problems: list[str], kind: type[CtrBenchError], heading: str) -> None:
    """Raise one error that lists the problems, if there are any.

    Args:
        problems: The problems, one message each.
        kind: The class of the error.
        heading: The first line of its message.

    Raises:
        CtrBenchError: Of the given kind, with one problem per line.
    """
    if problems:
        shown = problems[:MOST_PROBLEMS] + [
            f"{len(problems) - MOST_PROBLEMS:,} more problems are not shown."
        ] * (len(problems) > MOST_PROBLEMS)
        raise kind("\n".join([heading, *(f"  - {problem}" for problem in shown)]))


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of a full disk


def message(error: Exception) -> str | None:
    """Return the message of an error for the user; None for a bug of ctrbench."""
    if isinstance(error, CtrBenchError):
        return str(error)
    if isinstance(error, MemoryError):
        size = f" ({error})" if str(error) else ""
        return f"out of memory{size}; use smaller sizes or a larger machine."
    if isinstance(error, OSError) and error.errno in FULL:
        path = error.filename or "the output, or a temporary file"
        return f"cannot write {path}: {error.strerror}; free some space and run the command again."
    if isinstance(error, OSError) and error.filename is not None:
        cure = "check that it exists, is of the right kind and may be read and written."
        return f"{error.filename}: {error.strerror}; {cure}"
    return None
