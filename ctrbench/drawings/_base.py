"""Figures for the commands that draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrbench.atomic import atomic_file


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure.

    Args:
        width: inches.
        height: inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all.

    Args:
        figure: of matplotlib.
        path: ends in .png, .svg or .pdf.

    Raises:
        StoreError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=120)
