from dataclasses import replace

from ctrbench.runner.in_progress import RunningCell
from ctrbench.runner.states import notices, status
from ctrbench.terminal.matrices import show_notices, show_status
from tests.benchmark import matrix


def test_zero_vectors_are_printed(workspace, capsys):
    made = matrix(workspace)
    show_notices(notices(made, {}))
    assert capsys.readouterr().err == ""
    oracle = made.versions["oracle"].model_copy(update={"zero_vectors": 1200})
    found = notices(replace(made, versions={**made.versions, "oracle": oracle}), {})
    assert found.zero_vectors == {"oracle": 1200}
    show_notices(found)
    assert capsys.readouterr().err.startswith("oracle: 1,200 vectors are zero")


def test_status_lists_what_runs(workspace, capsys):
    made = matrix(workspace)
    cell = next(made.cells())
    running = (RunningCell(cell.hash, cell.label, 0.456, 12.3),)
    show_status(status(made, {}, running))
    output = capsys.readouterr().out
    assert "7 missing; 1 running now." in output
    assert f"running: {cell.label}: 46% after 12 s" in output
