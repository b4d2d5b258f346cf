"""The folder that contains a user's whole project; it can be zipped, moved and deleted."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ctrbench.errors import ConfigError

LONGEST_NAME, LONGEST_NAME_BYTES = 64, 192  # file systems allow 255 bytes per path component
RESERVED = {"none", "tables"}  # folder names that results/ uses


@dataclass(frozen=True)
class Workspace:
    """The folders of data, embeddings, cache and results."""

    home: Path

    @property
    def data(self) -> Path:
        """One folder per imported data set."""
        return self.home / "data"

    @property
    def embeddings(self) -> Path:
        """One folder per data set, with one folder per embedding version."""
        return self.home / "embeddings"

    @property
    def cache(self) -> Path:
        """Derived files, which are recomputed if deleted."""
        return self.home / "cache"

    @property
    def tracking(self) -> Path:
        """Local files of experiment trackers, one folder per tracker."""
        return self.home / "tracking"

    @property
    def results(self) -> Path:
        """One record per cell."""
        return self.home / "results"


def workspace_at(chosen: Path) -> Workspace:
    """Return the workspace of a folder that exists or can be created.

    Raises:
        ConfigError: The path is not a folder, or cannot be resolved.
    """
    try:
        folder = chosen.expanduser().resolve()
    except RuntimeError as error:  # unknown user, or a cycle of links
        raise ConfigError(f"--home {chosen} cannot be resolved: {error}; give a folder.") from error
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--home {chosen} is not a folder; give an existing or a new one.")
    return Workspace(folder)


def check_name(kind: str, name: str) -> str:
    """Return the name in composed form (NFC) if it is a valid folder name on every system.

    Args:
        kind: What the name denotes, for the message.
        name: The name.

    Raises:
        ConfigError: The name is too long, has unsuitable characters, or is reserved.

    >>> check_name("data set", "gro\u0308\u00dfe_2")
    'größe_2'
    """
    composed = unicodedata.normalize("NFC", name)
    if not (
        0 < len(composed) <= LONGEST_NAME
        and len(composed.encode("utf-8", "replace")) <= LONGEST_NAME_BYTES
        and _is_letter_or_digit(composed[0])
        and all(_is_letter_or_digit(one) or _is_mark(one) or one in "._-" for one in composed)
    ):
        raise ConfigError(
            f"{kind} name {name!r} is not valid: use 1 to {LONGEST_NAME} letters and digits of any "
            f"script (at most {LONGEST_NAME_BYTES} bytes), '.', '_' or '-', starting with a letter "
            "or digit."
        )
    if composed.lower() in RESERVED:
        raise ConfigError(f"{kind} name {name!r} is reserved; choose another.")
    return composed


def _is_letter_or_digit(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("L") or category == "Nd"


def _is_mark(character: str) -> bool:
    """Return whether the character is a combining mark, such as a vowel sign of Hindi."""
    return unicodedata.category(character) in ("Mn", "Mc")
