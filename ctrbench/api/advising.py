"""Predictions from a log and a version, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.api.inputs import Home, Location, opened
from ctrbench.starting_file import check_new, write_new

if TYPE_CHECKING:
    from ctrbench.advising.advice import Advice


def advise(
    dataset: str, version: str, *, output: Location | None = None, workspace: Home = "."
) -> Advice:
    """Predict the order of modes and useful codebook sizes from the log alone.

    Args:
        dataset: The name of the data set.
        version: The name of one of its versions of vectors; `v7:text` is one vector field.
        output: A file to create, with the benchmark file that tests the prediction.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set, the version or the field does not exist.
        ConfigError: The version holds codes, it has several vector fields and none is named, or
            the file exists.
        DataError: The log or the version is too small to measure anything on it.
        StoreError: The data set or the version is damaged, or the folder of the file cannot be
            written.
    """
    from ctrbench.advising.advice import advise as advised

    if output is not None:
        check_new(Path(output))
    found = advised(opened(workspace), dataset, version)
    if output is not None:
        write_new(Path(output), found.matrix)
    return found
