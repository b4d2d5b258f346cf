import pytest

from ctrbench.plan import Matrix
from ctrbench.schema import CellRecord
from ctrbench.terminal.progress import RunDisplay
from tests.benchmark import matrix


def record(made: Matrix, status) -> CellRecord:
    cell = next(made.cells())
    return CellRecord(hash=cell.hash, cell=cell, status=status, reason="too hot\nat noon")


def test_display_counts_over_all_that_was_begun(workspace, capsys):
    made = matrix(workspace)
    with RunDisplay() as display:
        display.begin("2 trials of baseline", 3, 2)
        display.finished(record(made, "done"))
        display.begin("1 trials of vector", 1, 1)
        display.finished(record(made, "failed"))
    assert capsys.readouterr().err.splitlines() == [
        "2 trials of baseline: 1 cells stored, 2 to train.",
        "[1/2] taste / none / none / seed 0: 0.0 s",
        "1 trials of vector: 0 cells stored, 1 to train.",
        "[2/3] taste / none / none / seed 0: failed: too hot",
    ]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_progress_is_silent_where_nobody_watches(workspace, capsys, share):
    with RunDisplay() as display:
        display.progress(next(matrix(workspace).cells()), share)
    assert capsys.readouterr().err == ""
