"""All names on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from ctrbench.catalogue import Catalogue
from ctrbench.terminal.output import echo


def show(found: Catalogue) -> None:
    """Print a line per kind."""
    _line("modes", found.modes, f"  ({found.baseline}, the baseline, is always trained)")
    for kind, names in found.contenders.items():
        _line(kind, names)
    _line("data sets", found.versions)
    for dataset, versions in found.versions.items():
        _line(f"versions of {dataset}", versions)


def _line(what: str, names: Iterable[str], note: str = "") -> None:
    echo(f"{what}: {', '.join(names) or 'none yet'}{note}")
