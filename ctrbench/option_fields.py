"""Commands whose options are the fields of a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

import typer


def options_of(settings: type[Any]) -> list[inspect.Parameter]:
    """Return one option per field of a dataclass, with its annotation and default."""
    hints = get_type_hints(settings, include_extras=True)
    signature = inspect.signature(settings).parameters
    return [
        parameter(field.name, hints[field.name], signature[field.name].default)
        for field in fields(settings)
    ]


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return one option.

    Args:
        name: The name of the keyword argument.
        annotation: Its type, with the option's help.
        default: Its default; `inspect.Parameter.empty` makes it required.
    """
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def made_command(
    name: str, help: str, call: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Any:
    """Return a command that calls a function with its options.

    Args:
        name: The name of the command.
        help: Its help text; lines of a paragraph are joined, since the terminal wraps them.
        call: Receives the options as keyword arguments.
        parameters: The options.
    """
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    single = typer.Typer(add_completion=False)
    paragraphs = "\n\n".join(" ".join(one.split()) for one in help.split("\n\n"))
    single.command(name, help=paragraphs)(call)
    return typer.main.get_command(single)
