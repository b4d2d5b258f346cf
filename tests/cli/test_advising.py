import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.matrix import read_matrix


@pytest.fixture
def advise(workspace, monkeypatch):
    monkeypatch.setattr("ctrbench.advising.traits.FEWEST_USERS", 30)

    def call(*words):
        given = ["--home", str(workspace.home), "advise", *map(str, words)]
        result = CliRunner().invoke(app, given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


def test_the_written_matrix_is_valid_and_no_file_is_replaced(advise, workspace, tmp_path):
    file = tmp_path / "test.yaml"
    output = advise("taste", "--version", "oracle", "--output", file)
    assert output.endswith(f"wrote {file}\nNext: ctrbench run {file}\n")
    assert file.read_text(encoding="utf-8") in output
    found = read_matrix(file, workspace)
    assert [row.version for row in found.rows if not row.control] == ["oracle"]


def test_a_file_that_exists_is_refused_before_anything_is_measured(advise, tmp_path, monkeypatch):
    monkeypatch.setattr("ctrbench.advising.advice.measure", None)
    (file := tmp_path / "test.yaml").touch()
    with pytest.raises(ConfigError, match=r"test\.yaml exists"):
        advise("taste", "--version", "oracle", "--output", file)


def test_names_that_do_not_exist(advise):
    with pytest.raises(UnknownNameError, match="v9"):
        advise("taste", "--version", "v9")
    with pytest.raises(UnknownNameError, match="nowhere"):
        advise("nowhere", "--version", "oracle")
