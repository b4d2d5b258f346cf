"""The one folder below which a user's project lives; it can be zipped, moved and deleted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ctrbench.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = {"none", "tables"}  # folder names that results/ uses itself


@dataclass(frozen=True)
class Workspace:
    """Where data, embeddings, cache and results stand."""

    home: Path

    @property
    def data(self) -> Path:
        """One folder per imported data set."""
        return self.home / "data"

    @property
    def embeddings(self) -> Path:
        """One folder per data set, in it one per embedding version."""
        return self.home / "embeddings"

    @property
    def cache(self) -> Path:
        """Derived files; deleting it costs time only."""
        return self.home / "cache"

    @property
    def results(self) -> Path:
        """One record per cell."""
        return self.home / "results"


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can be a folder's name on every system.

    Raises:
        ConfigError: it holds a path separator or other unsuitable characters, or is reserved.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{kind} name {name!r} will not do: use 1 to 64 letters, digits, '.', '_' or '-', "
            "the first a letter or digit, and no path separators."
        )
    if name.lower() in RESERVED:
        raise ConfigError(f"{kind} name {name!r} is reserved; choose another.")
    return name
