"""The seeds and users that each comparison of a matrix requires to detect an effect."""

from __future__ import annotations

from dataclasses import dataclass

from ctrbench.analysis.comparison import Comparison
from ctrbench.analysis.matrices import Records, judged
from ctrbench.display import Displayed
from ctrbench.errors import DataError
from ctrbench.plan import Matrix
from ctrbench.stats import Inference, need
from ctrbench.stats.power import Need
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class Power:
    """The requirements of one comparison, with its inference from the stored seeds."""

    comparison: Comparison
    inference: Inference
    need: Need


@dataclass(frozen=True)
class Required(Displayed, view="comparisons.show_power"):
    """The requirements of all comparisons of a matrix."""

    headline: str  # the metric
    effect: float  # a fraction
    comparisons: tuple[Power, ...]


def required(workspace: Workspace, matrix: Matrix, records: Records, effect: float) -> Required:
    """Return the seeds and users that each comparison of the headline requires.

    Args:
        workspace: The workspace that holds the results.
        matrix: The checked matrix.
        records: Stored records of its cells, by cell hash.
        effect: > 0, a fraction; the effect to detect.

    Raises:
        DataError: No comparison has two stored seeds.
    """
    found = {
        comparison: inference
        for comparison, inference in judged(workspace, matrix, records).items()
        if len(inference.seeds) > 1
    }
    if not found:
        raise DataError(
            "power requires at least two stored seeds of the baseline and of an arm; run "
            "`ctrbench run FILE` first."
        )
    powers = (
        Power(comparison, inference, need(inference, effect, len(found)))
        for comparison, inference in found.items()
    )
    return Required(matrix.file.headline, effect, tuple(powers))
