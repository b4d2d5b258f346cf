import re
from typing import Any

import pytest
from PIL import Image

from ctrbench.analysis import Comparison
from ctrbench.analysis.curves import curves
from ctrbench.errors import ConfigError
from tests.benchmark import SMALL, matrix, write

GRID = SMALL.replace("codebook_size: 8", "codebook_size: [4, 8]").replace(
    "seeds: [0]", "seeds: [0, 1]"
)


def test_curve_equals_the_table(workspace, run, tmp_path):
    file = write(workspace.home, GRID)
    with pytest.raises(ConfigError, match="ctrbench run FILE"):
        run("curve", file)
    run("run", file, "--no-report")
    output = run("curve", file, "--output", tmp_path / "curve.png")
    assert "oracle / cluster_id, delta of GAUC in pp:" in output
    table = run("tables", file, "--format", "markdown")
    for size in (4, 8):
        (found,) = re.findall(rf"codebook_size {size}: (\S+) \[", output)[:1]
        shown = "0.00" if found in ("+0.00", "-0.00") else found
        assert f"{shown} \\[" in table
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.width > 500


def test_a_curve_varies_only_one_setting(workspace):
    made = matrix(workspace, GRID.replace("batch_size: 256", "batch_size: 256, epochs: [1, 2]"))
    oracle = made.rows[0]
    gains: dict[Comparison, Any] = {Comparison(oracle, c): c.label for c in made.columns}

    def shown(setting):
        found = curves(made, setting, gains).curves
        return {one.label: [(point.value, point.gain) for point in one.points] for one in found}

    sizes = shown("codebook_size")
    assert list(sizes) == ["oracle / cluster_id epochs=1", "oracle / cluster_id epochs=2"]
    assert sizes["oracle / cluster_id epochs=2"] == [
        (4, "cluster_id codebook_size=4 epochs=2"),
        (8, "cluster_id codebook_size=8 epochs=2"),
    ]
    epochs = shown("epochs")
    assert "oracle / cluster_id codebook_size=8" in epochs
    assert [value for value, _ in epochs["oracle / vector"]] == [1, 2]


def test_setting_that_does_not_vary(workspace, run):
    with pytest.raises(ConfigError, match="width"):
        run("curve", write(workspace.home, GRID), "--setting", "width")
