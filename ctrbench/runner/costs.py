"""Gain and cost of every arm of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from ctrbench.analysis import Comparison
from ctrbench.analysis.shown import Place
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.injection import BASELINE
from ctrbench.metrics import find
from ctrbench.plan import Matrix
from ctrbench.runner.serving import ServingCost, measure_cost
from ctrbench.schema import ENERGY, CellRecord
from ctrbench.stats import Inference
from ctrbench.workspace import Workspace

AXES = {  # costs that a figure can show
    "latency": "median latency of 1,024 impressions, ms",
    "bytes": "bytes read per impression with a full history",
    "training": "training per cell, seconds",
}


@dataclass(frozen=True)
class ArmCost:
    """The gain of one arm on the headline metric, a fraction, and its cost."""

    comparison: Comparison | None  # with the baseline; None: the baseline itself
    gain: Inference | None  # None: not stored, or the baseline
    cost: ServingCost
    train_s: float | None  # mean over cells; None: not stored
    energy_j: float | None  # mean over cells; None: not stored, or not available when trained

    @property
    def name(self) -> str:
        """Return the arm's name."""
        return self.comparison.label if self.comparison else BASELINE


@dataclass(frozen=True)
class Refused:
    """An arm that could not be measured."""

    comparison: Comparison
    reason: str


@dataclass(frozen=True)
class Costs(Displayed, view="costs.show"):
    """The arms of a matrix, the baseline first."""

    headline: str  # name of the metric
    arms: tuple[ArmCost, ...]
    refused: tuple[Refused, ...]

    @property
    def metric(self) -> str:
        """Return the display name of the headline metric."""
        return find(self.headline).title

    def panel(self, axis: str) -> tuple[str, list[tuple[Place, float]]]:
        """Return the label of a cost, and the arms that have a gain with that cost.

        Args:
            axis: A key of `AXES`.

        Raises:
            ConfigError: No gain is stored.
        """
        points = [
            (Place(arm.comparison.row, arm.comparison.column, arm.gain), value)
            for arm in self.arms
            if arm.comparison is not None
            and arm.gain is not None
            and (value := _value(arm, axis)) is not None
        ]
        if not points:
            raise ConfigError("no gain is stored yet; run `ctrbench run FILE` first.")
        return AXES[axis], points


def check_axis(axis: str) -> None:
    """Raise an error if a cost does not exist.

    Raises:
        ConfigError: The axis is not a key of `AXES`.
    """
    if axis not in AXES:
        raise ConfigError(f"--against {axis!r}: one of {', '.join(AXES)}.")


def _value(arm: ArmCost, axis: str) -> float | None:
    if axis == "training":
        return arm.train_s
    latency_ms = 1000 * arm.cost.latency[1024].median_s
    return latency_ms if axis == "latency" else float(arm.cost.request_bytes)


def measure_costs(
    workspace: Workspace,
    matrix: Matrix,
    records: Mapping[str, CellRecord],
    gains: Mapping[Comparison, Inference],
) -> Costs:
    """Return gains and costs of the baseline and of every version with every mode.

    Latencies are measured now, on one thread.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.
        records: Its stored records, by cell hash.
        gains: The stored comparisons with the baseline.

    Raises:
        CtrBenchError: The baseline cannot be measured.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    refused: list[Refused] = []
    try:
        arms = [_measured(workspace, matrix, records, gains, None)]
        for row, column in matrix.places():
            if row.control is not None:
                continue
            comparison = Comparison(row, column)
            try:
                arms.append(_measured(workspace, matrix, records, gains, comparison))
            except CtrBenchError as error:
                refused.append(Refused(comparison, str(error)))
    finally:
        torch.set_num_threads(threads)
    return Costs(matrix.file.headline, tuple(arms), tuple(refused))


def _measured(
    workspace: Workspace,
    matrix: Matrix,
    records: Mapping[str, CellRecord],
    gains: Mapping[Comparison, Inference],
    comparison: Comparison | None,
) -> ArmCost:
    place = (comparison.row, comparison.column) if comparison else (None, None)
    cells = [matrix.cell(*place, seed) for seed in matrix.file.seeds]
    measured = measure_cost(workspace, cells[0])
    stored = [records[cell.hash] for cell in cells if cell.hash in records]
    done = [record for record in stored if record.status == "done"]
    took = [record.seconds["train"] for record in done if "train" in record.seconds]
    used = [record.facts[ENERGY] for record in done if ENERGY in record.facts]
    gain = gains.get(comparison) if comparison else None
    means = (fmean(values) if values else None for values in (took, used))
    return ArmCost(comparison, gain, measured, *means)
