"""Text and rich output on the terminal. Both replace control characters with visible symbols."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ctrbench.json_text import as_json
from ctrbench.printable import printable

T = TypeVar("T")
_sink: ContextVar[Callable[[object], None] | None] = ContextVar("sink", default=None)


@contextmanager
def captured(sink: Callable[[object], None]) -> Iterator[None]:
    """Pass everything that would be printed on stdout to a function.

    Args:
        sink: Receives text, and the objects that a console prints.
    """
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def echo(text: str = "", err: bool = False) -> None:
    """Print a line of text.

    Args:
        text: May contain control characters.
        err: Whether to print on stderr.
    """
    if (sink := _sink.get()) is not None and not err:
        sink(text)
        return
    typer.echo(printable(text), err=err)


def write(text: str) -> None:
    """Write a result to stdout, without control characters."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()  # later work may fail or be killed


def show(found: T, json: bool, view: Callable[[T], None]) -> None:
    """Print a result.

    Args:
        found: The result object.
        json: Whether to print JSON.
        view: Prints the result as text.
    """
    if json:
        write(as_json(found))
    else:
        view(found)


def console(err: bool = False, width: int | None = None, quiet: bool = False) -> Console:
    """Return a console.

    Args:
        err: Whether to print on stderr.
        width: Number of columns; None: that of the terminal.
        quiet: Whether to print nothing.
    """
    return _PrintableConsole(stderr=err, width=width, quiet=quiet, highlight=False)


def animates(shown: Console) -> bool:
    """Return whether a console can replace what it has printed: a terminal, or a notebook.

    In a notebook rich requires ipywidgets.
    """
    return shown.is_terminal and (not shown.is_jupyter or find_spec("ipywidgets") is not None)


class _PrintableConsole(Console):
    """A console that sends no control codes except those of rich."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects, or pass them to the function that captures the output.

        Args:
            *objects: Text and objects of rich.
            **options: Those of `Console.print`.
        """
        if (sink := _sink.get()) is None or self.stderr:
            super().print(*objects, **options)
            return
        for one in objects:
            sink(one)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of an object, without control characters in their text.

        Args:
            renderable: The object.
            options: The options of the console; None: the defaults.
        """
        for segment in super().render(renderable, options):
            yield segment if segment.control else _printable_segment(segment)


def _printable_segment(segment: Segment) -> Segment:
    text = printable(segment.text)
    return segment if text == segment.text else Segment(text, segment.style)
