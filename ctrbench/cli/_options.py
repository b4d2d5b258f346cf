"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrbench import plugins
from ctrbench.environment import usable_cores
from ctrbench.errors import ConfigError
from ctrbench.terminal import completing

if TYPE_CHECKING:
    from ctrbench.executors import Executor, Limits

FAILED = 1  # exit code: a guard, a gate, a cell or an arm failed; docs/commands.md lists all
TEXT = "text"  # the default format
AUTO = "auto"  # the default number of jobs
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
BYTES = {"MB": 1e6, "MiB": 2**20, "GB": 1e9, "GiB": 2**30}

BenchmarkArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The benchmark file (YAML).")
]
JobsOption = Annotated[
    str, typer.Option(help="Number of cells trained at once, one thread each; auto: one per core.")
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        help="Where cells run: processes of this machine, or a Ray cluster.",
        autocompletion=completing.executors,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="With --executor ray: address of the cluster. Default: RAY_ADDRESS."),
]
GpuShareOption = Annotated[
    float | None,
    typer.Option(
        help="With --executor ray: share of a GPU that a cell on `cuda` requests, such as 0.25, so "
        "that four cells share one. Default: 1."
    ),
]
MaxTimeOption = Annotated[
    str | None,
    typer.Option(help="Stop a cell after this time, such as 30min or 2h, and store it as failed."),
]
MaxMemoryOption = Annotated[
    str | None,
    typer.Option(
        help="Stop a cell that uses more memory, such as 8GB, and store it as failed. A cell that "
        "is known to require more is refused."
    ),
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


def executor_of(
    name: str,
    jobs: str,
    address: str | None,
    gpu_share: float | None,
    max_time: str | None,
    max_memory: str | None,
) -> Executor:
    """Return the executor that the options of a run request.

    Args:
        name: The value of `--executor`.
        jobs: The value of `--jobs`.
        address: The value of `--address`.
        gpu_share: The value of `--gpu-share`.
        max_time: The value of `--max-time`.
        max_memory: The value of `--max-memory`.

    Raises:
        ConfigError: An option is not valid, or does not suit the executor.
        UnknownNameError: No executor has this name.
    """
    from ctrbench.executors import Executor

    number = None if jobs == AUTO else jobs_of(jobs)
    kind: Any = plugins.load("ctrbench.executors", name, Executor, "executor")
    limits = limits_of(max_time, max_memory)
    given = {"address": address, "gpu_share": gpu_share}
    own = {key: value for key, value in given.items() if value is not None}
    for key in own.keys() - {one.name for one in fields(kind)}:
        option = "--" + key.replace("_", "-")
        raise ConfigError(f"{option} does not apply to --executor {name}; omit it.")
    return kind(number, limits, **own)


def limits_of(max_time: str | None, max_memory: str | None) -> Limits:
    """Return the limits of a cell.

    Args:
        max_time: The value of `--max-time`.
        max_memory: The value of `--max-memory`.

    Raises:
        ConfigError: A value is not valid.
    """
    from ctrbench.executors import Limits

    seconds = None if max_time is None else _quantity("--max-time", max_time, SECONDS, "2h")
    memory = None if max_memory is None else _quantity("--max-memory", max_memory, BYTES, "8GB")
    return Limits(seconds, memory if memory is None else round(memory))


def _quantity(option: str, text: str, units: Mapping[str, float], example: str) -> float:
    """Return the number of a text such as `8GB` in the base unit.

    Raises:
        ConfigError: The text is not a positive number with one of the units.
    """
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)", text)
    if found is None or found[2] not in units or not float(found[1]):
        raise ConfigError(
            f"{option} {text!r} is not valid: give a number above 0 and a unit "
            f"({', '.join(units)}), such as {example}."
        )
    return float(found[1]) * units[found[2]]


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
    if text == AUTO:
        return usable_cores()
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) < 1:
        raise ConfigError(f"--jobs {text!r} is not valid: give a number from 1 to 9999, or auto.")
    return int(text)
