"""Probes of the protocol: they detect models whose inputs depend on outcomes of the test period.

- **Noise.** Independent noise on a baseline's logits carries no information and must not raise
  any metric. It does raise one if the inputs bias the logits, because noise dilutes the bias.
- **Permuted outcomes.** Clicks of the test period are permuted within each evaluation group, and
  every input that depends on them is recomputed. No model can rank permuted clicks: GAUC is 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ctrbench.arrays import blocks
from ctrbench.batches.slots import HistorySlots
from ctrbench.impressions.permuting import inputs_follow_outcomes, permuted_outcomes
from ctrbench.injection import BASELINE
from ctrbench.metrics import judged
from ctrbench.runner.measure import (
    WHOLE,
    evaluate_period,
    scratch_of,
    slice_metrics,
    user_influences,
)
from ctrbench.runner.parts import CellParts
from ctrbench.runner.preparation import prepare_slots
from ctrbench.schema import NOISES, PERMUTED, Cell, Metrics, noise_probe
from ctrbench.scratch import IN_MEMORY, Scratch
from ctrbench.seeding import stream
from ctrbench.slices import Slice
from ctrbench.workspace import Workspace

STORED = ("", "/worth", "/items", "/items_worth", "/pairs")  # of the metrics that tables judge
SMALLEST = 1e-7  # probabilities are clipped to at least this, so that their logits are finite


@dataclass
class Probed:
    """Results of probes: metrics by `<probe>/<slice>`, influence values by measure."""

    metrics: dict[str, Metrics] = field(default_factory=dict)
    influence: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self,
        probe: str,
        kept: tuple[str, ...],
        workspace: Workspace,
        slots: HistorySlots,
        p_click: np.ndarray,
        slices: Sequence[Slice],
    ) -> None:
        """Measure the predictions of a probe and add its results.

        Args:
            probe: The probe's key.
            kept: Endings of the influence keys to keep.
            workspace: The workspace of the data set.
            slots: The data set, with permuted outcomes if the probe permutes them.
            p_click: (n,) float, predictions of the test period.
            slices: Slices to measure in addition to the whole test period.
        """
        by_slice = slice_metrics(workspace, slots, p_click, slices)
        whole = evaluate_period(slots.impressions, WHOLE, p_click, scratch=scratch_of(workspace))
        self.metrics |= {f"{probe}/{key}": one for key, one in ({WHOLE: whole} | by_slice).items()}
        for key, values in user_influences(workspace, slots, p_click, slices).items():
            if key.endswith(kept):
                self.influence[f"{probe}/{key}"] = values


def probe_predictions(
    workspace: Workspace,
    cell: Cell,
    slots: HistorySlots,
    p_click: np.ndarray,
    slices: Sequence[Slice],
) -> Probed:
    """Probe stored predictions of the test period.

    `probe_model` handles permuted outcomes if they change the model's inputs.

    Args:
        workspace: The workspace of the data set.
        cell: The cell that made the predictions.
        slots: The opened data set with its history slots.
        p_click: (n,) float, predictions of the test period.
        slices: Slices to measure in addition to the whole test period.
    """
    found = Probed()
    if cell.mode == BASELINE:
        for deviation in NOISES:
            noisy = with_noise(p_click, deviation, cell.seed, scratch_of(workspace))
            found.add(noise_probe(deviation), _of_judged(), workspace, slots, noisy, slices)
    if not inputs_follow_outcomes(slots.impressions):
        log = permuted_outcomes(slots.impressions, _stream(cell), scratch_of(workspace))
        permuted = HistorySlots(log, slots.history_length)
        found.add(PERMUTED, _within_groups(), workspace, permuted, p_click, slices)
    return found


def probe_model(
    workspace: Workspace, cell: Cell, parts: CellParts, slices: Sequence[Slice]
) -> Probed:
    """Probe a trained model by permuted outcomes if these change its inputs.

    Args:
        workspace: The workspace of the data set.
        cell: The cell that was trained.
        parts: Its parts, with the trained model.
        slices: Slices to measure in addition to the whole test period.
    """
    from ctrbench.batches.packing import Packer
    from ctrbench.training import predict

    found = Probed()
    if inputs_follow_outcomes(parts.slots.impressions):
        log = permuted_outcomes(parts.slots.impressions, _stream(cell), scratch_of(workspace))
        slots = HistorySlots(log, parts.slots.history_length)
        in_slots = parts.prepared.slot and prepare_slots(workspace, cell, parts.mode, slots)
        packer = Packer(slots, parts.settings, parts.prepared.item, in_slots)
        p_click = predict(
            parts.model, packer, WHOLE, lambda share: None, scratch=scratch_of(workspace)
        )
        found.add(PERMUTED, _within_groups(), workspace, slots, p_click, slices)
    return found


def _of_judged() -> tuple[str, ...]:
    """Return the endings of the influence keys that the noise probe keeps."""
    return tuple(f"/{metric.name}{more}" for metric in judged() for more in STORED)


def _within_groups() -> tuple[str, ...]:
    """Return the keys that the probe of permuted outcomes keeps: metrics at chance level there."""
    return tuple(f"/{metric.name}" for metric in judged() if metric.within_groups)


def with_noise(
    p_click: np.ndarray, deviation: float, seed: int, scratch: Scratch = IN_MEMORY
) -> np.ndarray:
    """Return (n,) float64 predictions with Gaussian noise on their logits.

    Args:
        p_click: (n,) float, predicted click probabilities.
        deviation: Standard deviation of the noise, in logits.
        seed: The cell's seed; each seed draws its own noise.
        scratch: Provides the array.
    """
    rng = stream(seed, noise_probe(deviation))

    def noisy() -> Iterator[np.ndarray]:
        for part in blocks(len(p_click)):
            p = np.clip(p_click[part].astype(np.float64), SMALLEST, 1 - SMALLEST)
            noise = rng.normal(0, deviation, len(p))
            yield 1 / (1 + np.exp(-(np.log(p / (1 - p)) + noise)))

    return scratch.filled(len(p_click), np.float64, noisy())


def _stream(cell: Cell) -> np.random.Generator:
    return stream(cell.seed, PERMUTED)
