"""The two ways to the terminal. Both show control characters of names instead of sending them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ctrbench.json_text import as_json

T = TypeVar("T")
KEPT = "\n\t"
C0 = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in KEPT}  # ESC -> ␛
C1 = dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}")
VISIBLE = C0 | {0x7F: "\N{SYMBOL FOR DELETE}"} | C1


def printable(text: str) -> str:
    r"""Return the text with visible signs in place of control characters.

    Newlines and tabs stay. A title that holds an escape code could otherwise clear the terminal.

    >>> printable("film \x1b[2J")
    'film ␛[2J'
    """
    return text.translate(VISIBLE)


def echo(text: str = "", err: bool = False) -> None:
    """Print a line of text.

    Args:
        text: may hold control characters.
        err: print it on stderr.
    """
    typer.echo(printable(text), err=err)


def write(text: str) -> None:
    """Write a result on stdout: printable on a terminal, unchanged into files and pipes."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()  # what follows may fail or be killed


def show(found: T, json: bool, view: Callable[[T], None]) -> None:
    """Print a result.

    Args:
        found: a result object.
        json: print it as JSON.
        view: prints it as text.
    """
    if json:
        write(as_json(found))
    else:
        view(found)


def console(err: bool = False, width: int | None = None, quiet: bool = False) -> Console:
    """Return a console.

    Args:
        err: print on stderr.
        width: columns; None: those of the terminal.
        quiet: print nothing.
    """
    return _PrintableConsole(stderr=err, width=width, quiet=quiet, highlight=False)


class _PrintableConsole(Console):
    """A console that sends the control codes of rich alone."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of an object, without control characters in their text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else _printable_segment(segment)


def _printable_segment(segment: Segment) -> Segment:
    text = printable(segment.text)
    return segment if text == segment.text else Segment(text, segment.style)
