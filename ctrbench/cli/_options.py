"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ctrbench.environment import usable_cores
from ctrbench.errors import ConfigError
from ctrbench.terminal import completing

FAILED = 1  # exit code: a guard, a gate, a cell or an arm failed; docs/commands.md lists all
TEXT = "text"  # the default format

BenchmarkArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The benchmark file (YAML).")
]
JobsOption = Annotated[
    str, typer.Option(help="Number of cells trained at once, one thread each; auto: one per core.")
]
FormatOption = Annotated[
    str, typer.Option(help="Such as text, markdown, csv.", autocompletion=completing.formats)
]
FullOption = Annotated[
    bool,
    typer.Option("--full", help="With --format text: everything, not only answer and headline."),
]
RetryOption = Annotated[bool, typer.Option(help="Train failed cells again.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DatasetOption = Annotated[
    str, typer.Option(help="An imported data set.", autocompletion=completing.datasets)
]
VersionArgument = Annotated[
    str, typer.Argument(help="The version's name.", autocompletion=completing.versions)
]
ReferenceArgument = Annotated[
    str,
    typer.Argument(
        help="The version's name; v7:text is one field.", autocompletion=completing.references
    ),
]
DetailOption = Annotated[
    bool | None,
    typer.Option(
        "--verbose/--quiet", "-v/-q", help="A line with details per cell / no progress at all."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Confirm. The removal cannot be undone.")]


def format_of(format: str, json: bool) -> str:
    """Return the table format that `--format` and `--json` request.

    Args:
        format: The value of `--format`.
        json: Whether `--json` is given.

    Raises:
        ConfigError: The options contradict each other.
        UnknownNameError: No format has this name.
    """
    from ctrbench.reports import check_format

    if json and format not in (TEXT, "json"):
        raise ConfigError(f"--json and --format {format} contradict each other; give one of them.")
    check_format(format)
    return "json" if json else format


def jobs_of(text: str) -> int:
    """Return the number of cells trained at once that `--jobs` requests.

    Raises:
        ConfigError: The text is not a number of processes.
    """
    if text == "auto":
        return usable_cores()
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) < 1:
        raise ConfigError(f"--jobs {text!r} is not valid: give a number from 1 to 9999, or auto.")
    return int(text)
