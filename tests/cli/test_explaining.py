import pytest
from PIL import Image

from ctrbench.errors import ConfigError
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix, write

TEXT = SMALL.replace("vector: {width: 4}", "vector: {width: 4, gate: true}")


def test_trace_explain_draw(workspace, run, tmp_path):
    file = write(workspace.home, TEXT)
    run("run", file, "--no-report")
    found = matrix(workspace, TEXT)
    cell = found.cell(found.rows[0], found.columns[0], 0)
    with pytest.raises(ConfigError, match="--trace"):
        run("explain", cell.hash)
    run("run", file, "--trace", "--no-report")
    output = run("explain", cell.hash[:8], "--output", tmp_path / "curves.png")
    assert output.startswith(run("explain", "taste/oracle/vector"))
    assert run("explain", "taste/oracle/vector/0") in output
    for message in (
        "gradients and updates by block",
        "attention",
        "The gradient of the image block is",
        "gate: 0.",
        "if the images of the test items are permuted",
        "if the item ids of the test items are permuted",
    ):
        assert message in output, output
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 500
    trace = Store(workspace).read_trace(cell)
    assert f"{trace.points[-1].loss:.4f} at the end" in output


def test_cells_of_two_settings_are_listed(workspace, run):
    for text in (TEXT, SMALL):
        run("run", write(workspace.home, text))
    with pytest.raises(
        ConfigError, match=r"2 finished cells match 'taste/oracle/vector': \w{16} is"
    ):
        run("explain", "taste/oracle/vector")


@pytest.mark.parametrize(
    ("start", "message"), [("ab", "too short"), ("ffffffffff", "0 finished cells")]
)
def test_cell_that_does_not_exist(run, start, message):
    with pytest.raises(ConfigError, match=message):
        run("explain", start)
