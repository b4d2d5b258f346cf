"""Figures for the commands that draw; matplotlib is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrbench.atomic import atomic_file
from ctrbench.errors import ConfigError

FORMATS = (".png", ".svg", ".pdf")


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("drawings need `pip install ctrbench[plots]`.") from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write it, whole or not at all.

    Raises:
        ConfigError: the file's ending is no format.
        StoreError: the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: write a drawing as {', '.join(FORMATS)}.")
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=120)
