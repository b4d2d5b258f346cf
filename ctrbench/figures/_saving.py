"""Figures as files, and as SVG inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.atomic import atomic_file, check_writable
from ctrbench.errors import ConfigError
from ctrbench.figures._base import Figure
from ctrbench.figures._style import RC, VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from ctrbench.analysis.shown import Shown

METADATA = {  # by format: nothing that changes from call to call
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
DPI = 150  # of pictures in pixels


def check_drawable(path: Path) -> None:
    """Refuse a file that no figure can be written to, before anything is computed.

    Raises:
        ConfigError: The file's ending is no format.
        StoreError: The file cannot be written.
    """
    if path.suffix[1:] not in METADATA:
        raise ConfigError(f"{path}: write a figure as {', '.join(f'.{one}' for one in METADATA)}.")
    check_writable(path)


def save(kind: Figure, shown: Shown, path: Path) -> None:
    """Write a figure; the same input gives the same bytes.

    Args:
        kind: A kind for which `lacks` is empty.
        shown: The content of a matrix.
        path: The file, which ends in .png, .svg or .pdf.

    Raises:
        StoreError: The file cannot be written.
    """
    ending = path.suffix[1:]
    with _drawing(kind, shown) as made, atomic_file(path) as temporary:
        made.savefig(temporary, format=ending, dpi=DPI, metadata=METADATA[ending])


def svg(kind: Figure, shown: Shown, name: str) -> str:
    """Return a figure as an SVG element whose colours follow the page's variables.

    Args:
        kind: A kind for which `lacks` is empty.
        shown: The content of a matrix.
        name: A unique name on the page, with which every id of the figure begins.
    """
    text = io.StringIO()
    with _drawing(kind, shown) as made:
        made.savefig(text, format="svg", metadata=METADATA["svg"])
    found = text.getvalue()
    found = found[found.index("<svg ") :]
    found = re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)
    found = re.sub(r"<style .*?</style>", "", found, count=1, flags=re.DOTALL)
    found = re.sub(r'\bid="', f'id="{name}-', found)
    found = re.sub(r'(href="|url\()#', rf"\1#{name}-", found)
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', found)
    assert size is not None
    width = round(float(size[1]) * 4 / 3)  # pixels of CSS
    found = found.replace(size[0], f'style="width: {width}px" role="img" aria-label="{name}"', 1)
    return re.sub("#[0-9a-f]{6}", lambda m: VARIABLES.get(m[0], m[0]), found)


@contextmanager
def _drawing(kind: Figure, shown: Shown) -> Iterator[Drawing]:
    """A drawing in the common style; a letter that the font lacks is drawn as a box."""
    from matplotlib import rc_context

    with rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield kind.draw(shown)
