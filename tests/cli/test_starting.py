"""`ctrbench init`, and `ctrbench run` without a benchmark file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctrbench.benchmark_file import read_benchmark
from ctrbench.cli.main import app
from ctrbench.embeddings import names
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.injection import usable_modes
from ctrbench.matrix import read_matrix
from ctrbench.settings import ModelSettings
from ctrbench.starting_file import Choice, starting_file

RUN = ("--dataset", "taste", "--versions", "oracle,random", "--modes", "vector", "--seeds", "1")


@pytest.fixture
def call(workspace, monkeypatch, tmp_path):
    """Calls ctrbench in an empty current folder; gives the output, raises what it raises."""
    monkeypatch.chdir(tmp_path)

    def called(*words: str) -> str:
        result = CliRunner().invoke(app, ["--home", str(workspace.home), *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return called


def test_init_writes_a_file_once(call, workspace, tmp_path):
    assert "ctrbench run taste.yaml" in call("init", "taste")
    file = read_benchmark(tmp_path / "taste.yaml")
    assert file.dataset == "taste"
    assert list(file.versions) == names(workspace, "taste")
    assert list(file.modes) == usable_modes(file.model)
    before = (tmp_path / "taste.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"taste\.yaml"):
        call("init", "taste")
    assert (tmp_path / "taste.yaml").read_bytes() == before
    call("init", "taste", "--output", "other.yaml")
    assert (tmp_path / "other.yaml").read_bytes() == before


def test_the_starting_file_is_a_valid_matrix(workspace, tmp_path):
    for versions, columns in (("oracle,random", usable_modes(ModelSettings())), ("none", ["none"])):
        path = tmp_path / "file.yaml"
        path.write_text(starting_file(workspace, Choice("taste", versions)), encoding="utf-8")
        assert [column.mode for column in read_matrix(path, workspace).columns] == columns
    with pytest.raises(ConfigError, match="without versions there are no modes; remove 'vector'"):
        starting_file(workspace, Choice("taste", "none", "vector"))


def test_few_vectors_get_a_small_codebook(workspace, monkeypatch):
    manifest = workspace.embeddings / "taste" / "oracle" / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    count = next(line for line in text.splitlines() if "items_with_vector" in line)
    for items, expected in ((399, {"codebook_size": 199}), (400, {})):
        manifest.write_text(text.replace(count, f'  "items_with_vector": {items},'))
        found = starting_file(workspace, Choice("taste", "oracle", "cluster_id"))
        path = workspace.home / "file.yaml"
        path.write_text(found, encoding="utf-8")
        assert read_benchmark(path).modes == {"cluster_id": expected}


def test_commands_that_are_named_contain_the_folder_that_was_given(tmp_path, monkeypatch):
    home = str(tmp_path / "two words")
    named = f"ctrbench --home '{home}' datasets import table"
    assert named in CliRunner().invoke(app, ["--home", home]).output
    monkeypatch.setenv("CTRBENCH_HOME", home)  # later commands find it too
    assert "  ctrbench datasets import table" in CliRunner().invoke(app, []).output


def test_unknown_names(call):
    for words in (("init", "tastes"), ("run", "--dataset", "taste", "--versions", "oracel")):
        with pytest.raises(UnknownNameError):
            call(*words)
    with pytest.raises(UnknownNameError, match="vector"):
        call("run", "--dataset", "taste", "--modes", "vectr")
    assert list(Path().glob("*.yaml")) == []


def test_run_without_a_file_writes_and_replaces_its_own(call, tmp_path):
    output = call("run", *RUN, "--no-report")
    assert "GAUC, delta against the baseline" in output
    path = tmp_path / "taste.yaml"
    assert read_benchmark(path).versions == ("oracle", "random")
    assert read_benchmark(path).seeds == (0,)
    call("run", *RUN[:2], "--versions", "oracle", *RUN[4:], "--no-report")
    assert read_benchmark(path).versions == ("oracle",)
    path.write_text("# Mine.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ctrbench run taste\.yaml.*rename"):
        call("run", *RUN)
    assert path.read_text(encoding="utf-8").startswith("# Mine.")


def test_a_file_and_its_replacement_exclude_each_other(call):
    with pytest.raises(ConfigError, match=r"--versions, --seeds and own\.yaml"):
        call("run", "own.yaml", "--versions", "oracle", "--seeds", "1")
    with pytest.raises(ConfigError, match="--dataset"):
        call("run")
