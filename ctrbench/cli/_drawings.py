"""Figures for the commands that draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrbench.atomic import atomic_file, check_writable
from ctrbench.errors import ConfigError

FORMATS = (".png", ".svg", ".pdf")


def require_drawable(path: Path | None) -> None:
    """Say before any work why no drawing can be written there, if one is wanted.

    Raises:
        ConfigError: the file's ending is no format.
        StoreError: the file cannot be written.
    """
    if path is None:
        return
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: write a drawing as {', '.join(FORMATS)}.")
    check_writable(path)


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write it, whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=120)
