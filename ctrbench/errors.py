"""Errors that a user can mend: the CLI prints the message alone and exits with 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CtrBenchError(Exception):
    """A mistake outside our code; its message says what, where, and how to mend it."""


class ConfigError(CtrBenchError):
    """A benchmark file or an option is wrong."""


class DataError(CtrBenchError):
    """A file, an array or a table does not hold what it should."""


class UnknownNameError(CtrBenchError):
    """A name that nothing answers to; offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(unknown_name(kind, name, known) + (f" {hint}" if hint else ""))


class ContractError(CtrBenchError):
    """A contender (a mode, an importer, a report) breaks its contract."""


class StoreError(CtrBenchError):
    """The workspace cannot be written or read: disk full, read-only, damaged record."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not among the known ones.

    >>> unknown_name("mode", "simscore", ["none", "sim_score"])
    "no mode 'simscore'; known: none, sim_score. Did you mean 'sim_score'?"
    """
    names = sorted(known)
    listed = ", ".join(names) if names else "none yet"
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    suggestion = f" Did you mean '{near[0]}'?" if near else ""
    return f"no {kind} '{name}'; known: {listed}.{suggestion}"


def raise_all(problems: list[str], kind: type[CtrBenchError], heading: str) -> None:
    """Raise one error that lists every problem; does nothing when there is none.

    Raises:
        CtrBenchError: of the given kind, one problem a line.
    """
    if problems:
        raise kind("\n".join([heading, *(f"  - {problem}" for problem in problems)]))
