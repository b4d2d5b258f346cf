from dataclasses import replace

from ctrbench.runner.states import notices
from ctrbench.terminal.matrices import show_notices
from tests.benchmark import matrix


def test_zero_vectors_are_said(workspace, capsys):
    made = matrix(workspace)
    show_notices(notices(made, {}))
    assert capsys.readouterr().err == ""
    oracle = made.versions["oracle"].model_copy(update={"zero_vectors": 1200})
    found = notices(replace(made, versions={**made.versions, "oracle": oracle}), {})
    assert found.zero_vectors == {"oracle": 1200}
    show_notices(found)
    assert capsys.readouterr().err.startswith("oracle: 1,200 vectors are zero")
