"""Figures as files, and as SVG inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
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

METADATA = {  # by format; without dates and versions, so that equal figures are equal files
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
DPI = 150  # dots per inch of .png files


def check_drawable(path: Path) -> None:
    """Raise an error if no figure can be written to a file, before anything is computed.

    Raises:
        ConfigError: The file name does not end in .png, .svg or .pdf.
        StoreError: The file cannot be written.
    """
    if path.suffix[1:] not in METADATA:
        raise ConfigError(f"{path}: a figure ends in {', '.join(f'.{one}' for one in METADATA)}.")
    check_writable(path)


def save(draw: Callable[[], Drawing], path: Path) -> None:
    """Write a figure; the same input gives the same bytes.

    Args:
        draw: Returns the figure; called in the common style.
        path: A file name that ends in .png, .svg or .pdf.

    Raises:
        StoreError: The file cannot be written.
    """
    ending = path.suffix[1:]
    with _style(), atomic_file(path) as temporary:
        draw().savefig(temporary, format=ending, dpi=DPI, metadata=METADATA[ending])


class Drawn:
    """A figure that is drawn in the common style when it is shown or saved."""

    def __init__(self, draw: Callable[[], Drawing]) -> None:
        """Store how the figure is drawn.

        Args:
            draw: Returns the figure of matplotlib.
        """
        self._draw = draw

    @property
    def figure(self) -> Drawing:
        """The figure of matplotlib, newly drawn."""
        with _style():
            return self._draw()

    def save(self, path: str | Path) -> None:
        """Write the figure.

        Args:
            path: A file name that ends in .png, .svg or .pdf.

        Raises:
            ConfigError: The file name has another ending.
            StoreError: The file cannot be written.
        """
        check_drawable(Path(path))
        save(self._draw, Path(path))

    def _repr_svg_(self) -> str:
        text = io.StringIO()
        with _style():
            self._draw().savefig(text, format="svg", metadata=METADATA["svg"])
        found = text.getvalue()
        return found[found.index("<svg ") :]


def svg(kind: Figure, shown: Shown, name: str) -> str:
    """Return a figure as an SVG element whose colours follow the page's variables.

    Args:
        kind: A kind for which `lacks` is empty.
        shown: The content of a matrix.
        name: A unique name on the page; the prefix of every id in the figure.
    """
    found = Drawn(lambda: kind.draw(shown))._repr_svg_()
    found = re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)
    found = re.sub(r"<style .*?</style>", "", found, count=1, flags=re.DOTALL)
    found = re.sub(r'\bid="', f'id="{name}-', found)
    found = re.sub(r'(href="|url\()#', rf"\1#{name}-", found)
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', found)
    assert size is not None
    width = round(float(size[1]) * 4 / 3)  # points to CSS pixels
    found = found.replace(size[0], f'style="width: {width}px" role="img" aria-label="{name}"', 1)
    return re.sub("#[0-9a-f]{6}", lambda m: VARIABLES.get(m[0], m[0]), found)


@contextmanager
def _style() -> Iterator[None]:
    """Apply the common style; characters that the font lacks are drawn as boxes."""
    from matplotlib import rc_context

    with rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield
