"""Shell completion, through the interface of bash."""

import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app


@pytest.fixture
def completed(workspace):
    def ask(line):
        words = ["ctrbench", "--home", str(workspace.home), *line.split(" ")]
        given = {
            "_CTRBENCH_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        return CliRunner().invoke(app, [], prog_name="ctrbench", env=given).output.split()

    return ask


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("datasets show t", ["taste"]),
        ("embeddings show o", ["oracle"]),
        ("embeddings show --dataset taste ora", ["oracle"]),
        ("embeddings show --dataset nowhere ora", []),
        ("codebook --dataset ta", ["taste"]),
        ("tables f.yaml --format mark", ["markdown"]),
        ("pretrain simc", ["simclr"]),
        ("plot f.yaml --kind fo", ["forest"]),
        ("compare taste/ora", ["taste/oracle/sim_score"]),
        ("run --dataset ta", ["taste"]),
        ("run --dataset taste --versions oracle,rand", ["oracle,random"]),
        ("run --modes sim_s", ["sim_score"]),
        ("init t", ["taste"]),
        ("advise t", ["taste"]),
        ("advise taste --version ora", ["oracle"]),
        ("stat", ["status"]),
    ],
)
def test_completed_names(workspace, completed, line, names):
    (workspace.results / "taste" / "oracle" / "sim_score").mkdir(parents=True)
    assert completed(line) == names


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("embeddings show v", ["v7", "v7:image", "v7:text"]),
        ("embeddings sheet --dataset taste v7:t", ["v7:text"]),
        ("embeddings check v7:i", ["v7:image"]),
        ("embeddings derive center v7:", ["v7:image", "v7:text"]),
        ("embeddings quality --dataset taste v7:t", ["v7:text"]),
        ("codebook v7:t", ["v7:text"]),
        ("codebook oracle --against v7:t", ["v7:text"]),
        ("pretrain courier --dataset taste --from-version v7:t", ["v7:text"]),
        ("embeddings remove v", ["v7"]),
        ("embeddings show orac", ["oracle"]),
    ],
)
def test_fields_of_a_version(workspace, completed, two_fields, line, names):
    two_fields(workspace)
    assert completed(line) == names


def test_path_that_is_not_a_folder_completes_nothing(tmp_path, monkeypatch, completed):
    (tmp_path / "file").write_text("")
    assert completed(f"--home {tmp_path}/file datasets show ") == []
