"""Detection of cells whose settings or environment differ from those of the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctrbench.analysis.comparison import Arm, Arms
from ctrbench.schema import MODE_CODE, MODE_TEXT, CellRecord
from ctrbench.settings import TrainingSettings

MARK = "†"
# `protocol` and a mode's `revision` identify the code, so that these keys may differ
IGNORED = {"ctrbench", "commit", "python", MODE_CODE, MODE_TEXT}


def differences(arms: Arms) -> tuple[list[str], set[Arm]]:
    """Return the conditions that differ from those of the first finished baseline cell.

    Returns:
        A sentence per distinct difference with the names of its cells, and the arms with at least
        one differing cell.
    """
    finished = [(arm, record) for arm in arms.all for _, record in sorted(arm.done.items())]
    if not finished:
        return [], set()
    usual_arm, usual = finished[0]
    intended = _varied(arms)
    places: dict[str, list[str]] = {}
    marked: set[Arm] = set()
    for arm in arms.all:
        for text, seeds in _by_difference(arm, _conditions(usual), intended).items():
            which = "" if len(seeds) == len(arm.done) else f" (seed {', '.join(map(str, seeds))})"
            places.setdefault(text, []).append(arm.label + which)
            marked.add(arm)
    against = f"{usual_arm.label}, seed {usual.cell.seed}"
    sentences = [
        f"{'; '.join(labels)}: trained under other conditions than {against}: {text}."
        for text, labels in places.items()
    ]
    return sentences, marked


def _varied(arms: Arms) -> set[str]:
    """Return the training settings that the benchmark file varies between columns."""
    trainings = [column.training for _, column in arms.cells]
    return {
        f"training.{name}"
        for name in TrainingSettings.model_fields
        if len({getattr(training, name) for training in trainings}) > 1
    }


def _by_difference(arm: Arm, usual: Mapping[str, str], intended: set[str]) -> dict[str, list[int]]:
    """Return the seeds by unintended difference."""
    found: dict[str, list[int]] = {}
    for seed, record in sorted(arm.done.items()):
        own = _conditions(record)
        parts = [
            f"{key} {own.get(key, 'not recorded')} instead of {usual.get(key, 'not recorded')}"
            for key in sorted((own.keys() | usual.keys()) - intended)
            if own.get(key) != usual.get(key)
        ]
        if parts:
            found.setdefault(", ".join(parts), []).append(seed)
    return found


def _conditions(record: CellRecord) -> dict[str, str]:
    """Return the conditions that a fair comparison holds fixed."""
    cell = record.cell
    return {
        "data": cell.data_hash,
        "protocol": str(cell.protocol),
        **_flat("model", cell.model),
        **_flat("training", cell.training),
        **{key: value for key, value in record.environment.items() if key not in IGNORED},
    }


def _flat(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
    return {f"{name}.{key}": str(value) for key, value in settings.items()}
