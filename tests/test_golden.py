"""Cells equal the golden values of their PROTOCOL and revision.

`python -m tests.test_golden` recomputes the values. Raise PROTOCOL, or the revision of the changed
mode, in the same change.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ctrbench import plugins
from ctrbench.injection import load_mode
from ctrbench.plan import PROTOCOL
from ctrbench.runner.cell import run_cell
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world
from tests.benchmark import matrix

GOLDEN = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-5  # processors differ in the last digits; without AUC, which depends on ranks


def measured(home: Path) -> dict[str, dict[str, float]]:
    write_world(WorldConfig("taste", users=80, items=60, impressions=4000, strength=1.0), home)
    workspace, found = Workspace(home), {}
    for cell in matrix(workspace).cells():
        record = run_cell(workspace, cell, (), {}, lambda share: None)
        assert record is not None
        metrics = record.metrics["test"]
        key = f"{cell.version_label} {cell.mode}"
        found[key] = {
            "log_loss": metrics.log_loss,
            "predicted_over_observed": metrics.predicted_over_observed,
        }
    return found


def defaults() -> dict[str, dict[str, Any]]:
    """Return the defaults; a cell is stored under its differences from them."""
    settings = {"model": ModelSettings(), "training": TrainingSettings()}
    modes = [(name, load_mode(name, {})) for name in plugins.names("ctrbench.injection")]
    by_revision = {f"{name}, revision {mode.revision}": mode for name, mode in modes}
    return {name: value.model_dump(mode="json") for name, value in (settings | by_revision).items()}


def test_defaults_equal_those_of_the_protocol():
    """A mode without golden values, such as a new one, is not compared."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["defaults"]
    now = defaults()
    assert golden.keys() <= now.keys(), (
        "a mode or its revision changed: recompute the golden values"
    )
    for owner, settings in golden.items():
        for name, value in settings.items():
            assert now[owner][name] == value, f"{owner}.{name}: raise PROTOCOL, or the revision"


def test_cells_equal_the_golden_values(tmp_path):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["protocol"] == PROTOCOL
    found = measured(tmp_path)
    assert found.keys() == golden["cells"].keys()
    for key, metrics in golden["cells"].items():
        assert found[key] == pytest.approx(metrics, abs=TOLERANCE), key


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        golden = {"protocol": PROTOCOL, "cells": measured(Path(folder))}
    golden["defaults"] = defaults()
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
