"""The mode that docs/extending.md shows is a mode."""

import re
from pathlib import Path

import torch

from ctrbench.batches.packing import Packer
from ctrbench.models.din import DIN
from tests.test_contracts import ROWS, SETTINGS, build, images


def test_shown_mode_runs_and_changes_the_logits(slots):
    text = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, type] = {"__name__": "shown"}
    exec(code[1], names)
    mode = names["Brightness"]()
    prepared = mode.prepare(images(slots), slots, 0)
    packer = Packer(slots, SETTINGS, prepared.item, prepared.slot)
    model = DIN(packer.sizes, SETTINGS, mode, prepared, packer.pack(ROWS[:8], None), 0)
    baseline, _ = build("none", slots)
    batch = packer.pack(ROWS, None)
    assert not torch.equal(model(batch), baseline(batch))
