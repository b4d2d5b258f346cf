"""Upper bounds: metrics of the true click probability, with style and with style integrated out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrbench.stats import Influence, influences, standard_error
from data_synth.truth import columns_of

LARGEST_SAMPLE = 8_000_000  # impressions; a longer test period is sampled by user


@dataclass(frozen=True)
class Attainable:
    """Metrics on the test period; None if undefined, because a class is missing."""

    impressions: int  # sampled impressions of the test period
    auc: float | None  # true probability
    auc_without_style: float | None
    auc_gain_error: float | None  # standard error of the difference, over users
    gauc: float | None
    gauc_without_style: float | None
    gauc_gain_error: float | None
    auc_error: float | None  # standard error for the true probability
    gauc_error: float | None

    def __str__(self) -> str:
        if self.gauc is None or self.gauc_without_style is None or self.auc is None:
            return "GAUC is not defined: no user of the test period has a click and a non-click"
        return (
            f"GAUC {_gain(self.gauc_without_style, self.gauc, self.gauc_gain_error)}; "
            f"AUC {_gain(self.auc_without_style, self.auc, self.auc_gain_error)}"
        )


def attainable(log: list[Path], test: tuple[int, int]) -> Attainable:
    """Return the metrics of the true click probability, and of its mean over styles.

    Args:
        log: The parts of the log, in order of time.
        test: The half-open range of rows of the test period.
    """
    every = -(-(test[1] - test[0]) // LARGEST_SAMPLE)
    rows = _rows(log, test, every)
    click, user = rows["click"], rows["user_id"]
    known = influences(click, rows["p_true"], user)
    without = influences(click, rows["p_without_style"], user)
    auc, gauc = (_pair(known, without, metric) for metric in ("auc", "gauc"))
    return Attainable(len(click), *auc[:3], *gauc[:3], auc[3], gauc[3])


def _rows(log: list[Path], test: tuple[int, int], every: int) -> dict[str, np.ndarray]:
    names = ["user_id", "click", "p_true", "p_without_style"]
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    start = 0
    for part in columns_of(log, names):
        size = len(part["click"])
        at = np.arange(start, start + size)
        keep = (at >= test[0]) & (at < test[1]) & (part["user_id"] % every == 0)
        for name in names:
            kept[name].append(part[name][keep])
        start += size
    return {name: np.concatenate(blocks) for name, blocks in kept.items()}


def _pair(
    known: Mapping[str, Influence], without: Mapping[str, Influence], metric: str
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return value, value without style, standard errors of the difference and of the value."""
    if metric not in known:
        return None, None, None, None
    difference = standard_error(known[metric].per_user - without[metric].per_user)
    errors = (difference, known[metric].standard_error)
    gain, own = (None if np.isnan(error) else error for error in errors)
    return known[metric].value, without[metric].value, gain, own


def _gain(without: float | None, value: float, error: float | None) -> str:
    without = value if without is None else without
    gain = f"{100 * (value - without):+.2f}" + ("" if error is None else f" ± {100 * error:.2f}")
    return f"{100 * without:.2f} without style, {100 * value:.2f} with it ({gain} pp)"
