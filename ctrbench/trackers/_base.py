"""The contract of a tracker, and the check that its package is installed."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ctrbench import plugins
from ctrbench.errors import ConfigError
from ctrbench.schema import CurvePoint

PACKAGE = "ctrbench.trackers"


@dataclass(frozen=True)
class TrackedRun:
    """One run of a tracker: a cell, or the table of a matrix."""

    key: str  # identifies the run: letters, digits and hyphens
    name: str  # for display
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)  # such as `test/gauc`
    curve: tuple[CurvePoint, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # text by file name
    failed: bool = False


class Tracker(ABC):
    """A destination of runs. The name of its file is its name.

    Any exception of a method turns the tracker off for the rest of the command, with a warning.
    """

    module: ClassVar[str]  # imported by the methods, never by the file
    package: ClassVar[str]  # name for pip

    def __init__(self, folder: Path, project: str) -> None:
        """Remember where runs are written.

        Args:
            folder: Folder of the tracker's local files, which may not exist.
            project: The group of all runs: the name of the benchmark file.
        """
        self.folder, self.project = folder, project

    def start(self) -> None:
        """Prepare the destination before the first cell is trained; raises if that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def has(self, key: str) -> bool:
        """Return whether a run with this key was written before."""

    @abstractmethod
    def log(self, run: TrackedRun) -> None:
        """Write a finished run."""


def load(name: str, folder: Path, project: str) -> Tracker:
    """Return a tracker whose package is installed.

    Args:
        name: The name of the tracker.
        folder: Folder of the tracker's local files, which may not exist.
        project: The group of all runs.

    Raises:
        ConfigError: The package is not installed.
        UnknownNameError: No tracker has this name.
    """
    found: type[Tracker] = plugins.load(PACKAGE, name, Tracker, "tracker")
    if importlib.util.find_spec(found.module) is None:
        raise ConfigError(
            f"tracker {name} requires the package {found.package}, which is not installed: "
            f"pip install {found.package}"
        )
    return found(folder, project)
