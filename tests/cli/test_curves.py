import re

import pytest
from PIL import Image

from ctrbench.errors import ConfigError
from tests.benchmark import SMALL, write

GRID = SMALL.replace("codebook_size: 8", "codebook_size: [4, 8]").replace(
    "seeds: [0]", "seeds: [0, 1]"
)


def test_curve_says_what_the_table_says(workspace, run, tmp_path):
    file = write(workspace.home, GRID)
    with pytest.raises(ConfigError, match="`ctrbench run` the file first"):
        run("curve", file)
    run("run", file)
    output = run("curve", file, "--output", tmp_path / "curve.png")
    assert "oracle / cluster_id, delta of GAUC in pp:" in output
    table = run("tables", file, "--format", "markdown")
    for size in (4, 8):
        (found,) = re.findall(rf"codebook_size {size}: (\S+) \[", output)[:1]
        shown = "0.00" if found in ("+0.00", "-0.00") else found
        assert f"{shown} \\[" in table
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.width > 500


def test_nothing_varies(workspace, run):
    with pytest.raises(ConfigError, match="no mode of this file takes several numbers for width"):
        run("curve", write(workspace.home, GRID), "--setting", "width")
