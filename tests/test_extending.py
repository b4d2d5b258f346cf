"""The mode and the metric that docs/extending.md shows work."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss

from ctrbench.batches.packing import Packer
from ctrbench.metrics import Scored
from ctrbench.models.din import DIN
from tests.test_contracts import ROWS, SETTINGS, build, images


def shown(name: str) -> type:
    """The class of a name that the page defines."""
    text = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (block for block in blocks if f"class {name}(" in block)
    names: dict[str, type] = {"__name__": "shown"}
    exec(code, names)
    return names[name]


def test_shown_mode_runs_and_changes_the_logits(slots):
    mode = shown("Brightness")()
    prepared = mode.prepare(images(slots), slots, 0)
    packer = Packer(slots, SETTINGS, prepared.item, prepared.slot)
    model = DIN(packer.sizes, SETTINGS, mode, prepared, packer.pack(ROWS[:8], None), 0)
    baseline, _ = build("none", slots)
    batch = packer.pack(ROWS, None)
    assert not torch.equal(model(batch), baseline(batch))


def test_shown_metric_equals_scikit_learn_and_its_influence_sums_to_zero():
    draw = np.random.default_rng(0)
    click, p = draw.integers(0, 2, 60), draw.random(60)
    user, item, weight = draw.integers(0, 9, 60), draw.integers(0, 5, 60), draw.random(60) + 0.1
    metric = shown("Brier")("brier")
    scored = Scored.of(click, p, user, weight, item_id=item)
    expected = brier_score_loss(click, p, sample_weight=weight)
    assert metric.value(scored) == pytest.approx(expected)
    found = metric.influence(scored)
    assert found.value == metric.value(scored)
    assert found.items.per_item.sum() == pytest.approx(0)
    assert found.per_user.shape == (9,)
