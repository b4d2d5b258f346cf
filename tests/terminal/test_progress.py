import pytest
from rich.console import Console

from ctrbench.plan import Matrix
from ctrbench.schema import CellRecord, Metrics
from ctrbench.terminal import progress
from ctrbench.terminal.progress import RunDisplay, pretraining
from tests.benchmark import matrix

COUNTS = ("impressions", "clicks", "users", "evaluable_users", "evaluable_impressions")


def record(made: Matrix, status, reason="too hot\nat noon") -> CellRecord:
    cell = next(made.cells())
    return CellRecord(
        hash=cell.hash,
        cell=cell,
        status=status,
        reason=reason,
        metrics={"test": Metrics.of({"auc": 0.5}, **dict.fromkeys(COUNTS, 9))},
        seconds={"prepare": 1.0, "fit": 2.0},
        peak_memory_bytes=3_000_000,
    )


def run(made, detail=None):
    with RunDisplay(detail) as display:
        display.begin("2 trials of baseline", 3, 2, 400)
        display.finished(record(made, "done"))
        display.begin("1 trials of vector", 1, 1, 200)
        display.finished(record(made, "failed"))


@pytest.fixture
def terminal(monkeypatch):
    """Replace the console by a terminal of 120 columns."""
    made = Console(stderr=True, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(progress, "console", lambda err: made)
    return made


def test_display_counts_over_all_parts(workspace, capsys):
    run(matrix(workspace))
    assert capsys.readouterr().err.splitlines() == [
        "2 trials of baseline: 1 cell stored, 2 to train.",
        "[1/2] taste / none / none / seed 0: 3.0 s",
        "1 trials of vector: 0 cells stored, 1 to train.",
        "[2/3] taste / none / none / seed 0: failed: too hot",
    ]


def test_quiet_display_prints_nothing(workspace, capsys):
    run(matrix(workspace), detail=False)
    with pretraining("v1", detail=False) as output:
        output(1, 1, 0.5)
    assert capsys.readouterr() == ("", "")


def test_verbose_display_prints_stages_memory_and_whole_reasons(workspace, capsys):
    run(matrix(workspace), detail=True)
    output = capsys.readouterr().err
    assert "3.0 s (prepare 1.0 s, fit 2.0 s), 3 MB, AUC 0.5000" in output
    assert "failed: too hot\nat noon" in output


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_progress_prints_nothing_without_a_terminal(workspace, capsys, share):
    with RunDisplay() as display:
        display.progress(next(matrix(workspace).cells()), share)
    assert capsys.readouterr().err == ""


def test_terminal_shows_cells_speed_and_no_line_per_cell(workspace, terminal, capsys):
    made, clock = matrix(workspace), [0.0]
    first, second, *_ = made.cells()
    with RunDisplay() as display:
        display._progress.get_time = lambda: clock[0]
        display.begin("taste", 7, 4, 4000)
        for cell, share, now in ((first, 0.0, 0.0), (second, 0.5, 10.0), (first, 0.5, 20.0)):
            clock[0] = now
            display.progress(cell, share)
        assert row(display) == "0 done, 2 running, 2 left; 50 impressions/s"  # 1000 per cell
        display.finished(record(made, "done"))
        assert row(display).startswith("1 done, 1 running, 2 left")
    assert "[1/4]" not in capsys.readouterr().err


def row(display):
    (task,) = display._progress.tasks
    return str(progress._State().render(task))
