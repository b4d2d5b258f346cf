import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.errors import CtrBenchError
from ctrbench.runner import run_matrix
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix, write
from tests.runner.test_run import Watcher

THREE = SMALL.replace("seeds: [0]", "seeds: [0, 1, 2]").replace(
    "modes:\n  vector: {width: 4}\n  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}",
    "modes:\n  sim_score: {}",
)


@pytest.fixture(scope="module")
def trained(made_workspace, tmp_path_factory) -> Workspace:
    """Baseline, oracle and random vectors with `sim_score`, three seeds each."""
    home = tmp_path_factory.mktemp("judged") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, THREE), 2, False, Watcher())
    return workspace


@pytest.fixture
def run(trained):
    write(trained.home, THREE)

    def go(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["--home", str(trained.home), *arguments])
        if isinstance(result.exception, CtrBenchError):
            return 2, str(result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit | typer.Exit)
        return result.exit_code, result.output

    return go


def test_compare_says_who_is_better_and_by_how_much(run, trained):
    code, said = run("compare", "taste/oracle/sim_score", "taste/none")
    assert code == 0
    assert "taste/oracle/sim_score against taste/none: 3 seed(s)" in said
    assert "95 % interval" in said
    folder = trained.results / "taste"

    def mean(place: str) -> float:
        records = [json.loads(file.read_bytes()) for file in (folder / place).glob("*.json")]
        values = [record["metrics"]["test"]["gauc"] for record in records]
        return sum(values) / len(values)

    delta = 100 * (mean("oracle/sim_score") - mean("none/none"))
    assert f"gauc {delta:+.3f} pp" in said


def test_reversed_arms_turn_the_sign(run):
    ours = run("compare", "taste/oracle/sim_score", "taste/none")[1]
    theirs = run("compare", "taste/none", "taste/oracle/sim_score")[1]
    number = ours.split("gauc ")[1].split(" pp")[0]
    turned = theirs.split("gauc ")[1].split(" pp")[0]
    assert float(number) == -float(turned)


def test_an_arm_against_itself_is_exactly_nothing(run):
    code, said = run("compare", "taste/none", "taste/none", "--fail-on", "worse")
    assert code == 0
    assert "gauc +0.000 pp, 95 % interval +0.000 to +0.000 (p 1)" in said
    assert "Gate --fail-on worse: passed." in said


def test_gate_ends_with_one(run):
    code, said = run("compare", "taste/none", "taste/none", "--fail-on", "not-better")
    assert code == 1
    assert "Gate --fail-on not-better: failed." in said


def test_places_of_a_benchmark_file(run, trained):
    file = str(trained.home / "benchmark.yaml")
    code, said = run("compare", "oracle/sim_score", "none", "--file", file, "--metric", "log_loss")
    assert code == 0
    assert "log_loss (turned round: less is better)" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("taste/oracle/sim_scor", "taste/none"), "Did you mean 'taste/oracle/sim_score'"),
        (("oracle", "taste/none"), "'oracle' names no arm: give DATASET/VERSION/MODE"),
        (
            ("taste/oracle/sim_score", "taste/none", "--margin", "0.05"),
            "--margin '0.05' will not do",
        ),
        (("taste/oracle/sim_score", "taste/none", "--metric", "gac"), "Did you mean 'gauc'"),
    ],
)
def test_mistakes(run, arguments, message):
    code, said = run("compare", *arguments)
    assert code == 2
    assert message in said


def test_arms_of_several_settings_have_to_be_told_apart(run, trained):
    folder = trained.results / "taste/oracle/sim_score"
    first = sorted(folder.glob("*.json"))[0]
    record = json.loads(first.read_bytes())
    record["cell"]["training"]["learning_rate"] = 0.5
    other = first.with_name("0" * 16 + ".json")
    other.write_text(json.dumps(record))
    try:
        code, said = run("compare", "taste/oracle/sim_score", "taste/none")
    finally:
        other.unlink()
    assert code == 2
    assert "stored under 2 kinds of settings" in said
    assert "learning_rate 0.5" in said


def test_power_names_seeds_or_users(run, trained):
    file = str(trained.home / "benchmark.yaml")
    code, said = run("power", file, "--effect", "50pp")
    assert code == 0
    assert "oracle / sim_score against Baseline: 2 seeds (stored: 3)" in said
    code, said = run("power", file, "--effect", "0.001pp")
    assert "not with these test users, whatever the number of seeds" in said
    assert run("power", file, "--effect", "1")[0] == 2
