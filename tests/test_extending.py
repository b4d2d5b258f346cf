"""The contenders in docs/extending.md work."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from typer.testing import CliRunner

from ctrbench.analysis import compare
from ctrbench.batches.packing import Packer
from ctrbench.cli.main import app
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions
from ctrbench.metrics import Scored
from ctrbench.models.din import DIN
from ctrbench.reports import entry_text
from ctrbench.workspace import Workspace
from tests.analysis.made import arm, baseline, plan
from tests.installing import package_of
from tests.test_contracts import ROWS, SETTINGS, build, images


def code_of(name: str) -> str:
    """Return the code block of the page that defines a class."""
    text = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (block for block in blocks if f"class {name}(" in block)
    return code


def documented(name: str) -> type:
    """Return the class of this name that the page defines."""
    names: dict[str, Any] = {"__name__": "documented"}
    exec(code_of(name), names)
    return names[name]


def test_documented_mode_runs_and_changes_the_logits(slots):
    mode = documented("Brightness")()
    prepared = mode.prepare(images(slots), slots, 0)
    packer = Packer(slots, SETTINGS, prepared.item, prepared.slot)
    model = DIN(packer.sizes, SETTINGS, mode, prepared, packer.pack(ROWS[:8], None), 0)
    baseline, _ = build("none", slots)
    batch = packer.pack(ROWS, None)
    assert not torch.equal(model(batch), baseline(batch))


def test_documented_metric_equals_scikit_learn_and_its_influence_sums_to_zero():
    draw = np.random.default_rng(0)
    click, p = draw.integers(0, 2, 60), draw.random(60)
    user, item, weight = draw.integers(0, 9, 60), draw.integers(0, 5, 60), draw.random(60) + 0.1
    metric = documented("Brier")("brier")
    scored = Scored.of(click, p, user, weight, item_id=item)
    expected = brier_score_loss(click, p, sample_weight=weight)
    assert metric.value(scored) == pytest.approx(expected)
    found = metric.influence(scored)
    assert found.value == metric.value(scored)
    assert found.items.per_item.sum() == pytest.approx(0)
    assert found.per_user.shape == (9,)


def test_documented_table_format_writes_the_entries():
    made = compare(plan(), {**baseline(), **arm("raw / vector", (0.1, 0.3))})
    head, *lines = documented("Tabs")().render(made).splitlines()
    assert head.split("\t") == [made.blocks[0].title, *made.headers]
    expected = [[row.title, *map(entry_text, row.entries)] for row in made.blocks[0].lines]
    assert [line.split("\t") for line in lines] == expected


def test_documented_importer_creates_a_data_set(tmp_path, monkeypatch):
    source, home = tmp_path / "likes.csv", tmp_path / "home"
    rows = [f"u{n % 7},{n % 11},{int(n % 3 == 0)},{1000 + n}" for n in range(500)]
    source.write_text("\n".join(["user,item,liked,time", *rows]))
    with package_of({("ctrbench.datasets", "likes"): code_of("Likes")}, tmp_path, monkeypatch):
        words = ["--home", home, "datasets", "import", "likes", "--name", "liked", "--source"]
        done = CliRunner().invoke(app, list(map(str, [*words, source])))
        assert done.exit_code == 0, done.output
        missing = CliRunner().invoke(app, list(map(str, [*words, tmp_path / "none.csv"])))
        assert isinstance(missing.exception, DataError)
    log = open_impressions(Workspace(home), "liked")
    assert len(log.click) == 500
    assert log.click.sum() == 167
