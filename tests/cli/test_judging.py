import json
import re
import shutil

import pytest
import typer
from typer.testing import CliRunner

from ctrbench.cli.main import app, main
from ctrbench.errors import CtrBenchError
from ctrbench.plan import PROTOCOL
from ctrbench.runner import run_matrix
from ctrbench.schema import Cell
from ctrbench.sealed import opened, read_arrays, write_arrays, write_sealed
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


def test_compare_prints_estimate_and_verdict(run, trained):
    code, printed = run("compare", "taste/oracle/sim_score", "taste/none")
    assert code == 0
    assert "taste/oracle/sim_score against taste/none: 3 seed(s)" in printed
    assert "95 % interval" in printed
    folder = trained.results / "taste"

    def mean(place: str) -> float:
        records = [json.loads(file.read_bytes()) for file in (folder / place).glob("*.json")]
        values = [record["metrics"]["test"]["gauc"] for record in records]
        return sum(values) / len(values)

    delta = 100 * (mean("oracle/sim_score") - mean("none/none"))
    assert f"gauc {delta:+.3f} pp" in printed


def test_swapped_arms_reverse_the_sign(run):
    ours = run("compare", "taste/oracle/sim_score", "taste/none")[1]
    theirs = run("compare", "taste/none", "taste/oracle/sim_score")[1]
    number = ours.split("gauc ")[1].split(" pp")[0]
    turned = theirs.split("gauc ")[1].split(" pp")[0]
    assert float(number) == -float(turned)


def test_an_arm_against_itself_is_exactly_zero(run):
    code, printed = run("compare", "taste/none", "taste/none", "--fail-on", "worse")
    assert code == 0
    assert "gauc +0.000 pp (0.5307 and 0.5307), 95 % interval +0.000 to +0.000 (p 1)" in printed
    assert "Gate --fail-on worse: passed." in printed


def test_failed_gate_exits_with_1(run):
    code, printed = run("compare", "taste/none", "taste/none", "--fail-on", "not-better")
    assert code == 1
    assert "Gate --fail-on not-better: failed." in printed


def test_places_of_a_benchmark_file(run, trained):
    file = str(trained.home / "benchmark.yaml")
    code, printed = run(
        "compare", "oracle/sim_score", "none", "--file", file, "--metric", "log_loss"
    )
    assert code == 0
    assert "log_loss (sign reversed: less is better)" in printed


def test_an_unknown_arm_of_a_benchmark_file_is_named_once(run, trained):
    file = str(trained.home / "benchmark.yaml")
    code, printed = run("compare", "oracle/nothing", "none", "--file", file)
    assert code == 2
    assert " ".join(printed.split()).startswith("no arm of the matrix 'oracle/nothing'; known: ")
    names = printed.partition("known: ")[2].partition(".")[0].split(", ")
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("taste/oracle/sim_scor", "taste/none"), "Did you mean 'taste/oracle/sim_score'"),
        (("oracle", "taste/none"), "'oracle' is not the name of an arm"),
        (
            ("taste/oracle/sim_score", "taste/none", "--margin", "0.05"),
            "margin '0.05' is not valid",
        ),
        (("taste/oracle/sim_score", "taste/none", "--metric", "gac"), "Did you mean 'gauc'"),
    ],
)
def test_mistakes(run, arguments, message):
    code, printed = run("compare", *arguments)
    assert code == 2
    assert message in printed


def _edited(path, changes):
    """The record of a file, of a cell with other settings."""
    record = json.loads(opened(path, path.read_bytes()))
    record["cell"].update(changes)
    record["hash"] = Cell.model_validate(record["cell"]).hash
    return record


def _beside(trained, run, changes):
    """Call `compare` while a cell with other settings is stored for one arm."""
    first = sorted((trained.results / "taste/oracle/sim_score").glob("*.json"))[0]
    record = _edited(first, changes)
    other = first.with_name(f"{record['hash']}.json")
    write_sealed(other, record)
    try:
        return run("compare", "taste/oracle/sim_score", "taste/none")
    finally:
        other.unlink()


def test_arms_with_several_settings_require_a_file(run, trained):
    code, printed = _beside(trained, run, {"mode_settings": {"learning_rate_factor": 0.5}})
    assert code == 2
    assert "stored with 2 different settings" in printed
    assert "learning_rate_factor 0.5" in printed


def test_arms_with_equal_settings_are_selected(run, trained):
    alone = run("compare", "taste/oracle/sim_score", "taste/none")
    assert _beside(trained, run, {"training": {"learning_rate": 0.5}}) == alone


def test_power_prints_seeds_or_users(run, trained):
    file = str(trained.home / "benchmark.yaml")
    code, printed = run("power", file, "--effect", "50pp")
    assert code == 0
    assert re.search(r"oracle / sim_score against Baseline: \d+ seeds \(stored: 3\)", printed)
    code, printed = run("power", file, "--effect", "0.001pp")
    assert "no number of seeds suffices with these test users" in printed
    assert run("power", file, "--effect", "1")[0] == 2
    code, printed = run("power", file, "--effect", "0pp")
    assert code == 2
    assert "greater than 0" in printed


def _stored(trained, place: str, name: str = "taste", **changes):
    """Copies of an arm's records under another data set, with changed cells."""
    target = trained.results / name / place
    target.mkdir(parents=True, exist_ok=True)
    for file in (trained.results / "taste" / place).glob("*.json"):
        record = _edited(file, {"dataset": name, **changes})
        name_of_cell = record["hash"]
        write_sealed(target / f"{name_of_cell}.json", record)
        influence = read_arrays(file.with_suffix(".users.npz"), file.stem)
        write_arrays(target / f"{name_of_cell}.users.npz", name_of_cell, influence)
    return target.parents[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": 7}, f"protocol {PROTOCOL} and 7"),
        ({"data_hash": "f" * 16}, "data set taste and other"),
    ],
)
def test_arms_of_other_tests_or_protocols_are_refused(run, trained, changes, message):
    folder = _stored(trained, "none/none", "other", **changes)
    try:
        code, printed = run("compare", "taste/oracle/sim_score", "other/none")
    finally:
        shutil.rmtree(folder)
    assert code == 2
    assert message in printed


def test_difference_of_two_described_data_sets_is_named(run, trained):
    folder = _stored(trained, "none/none", "other", data_hash="f" * 16)
    described = trained.results / "taste/dataset.json"
    summary = json.loads(opened(described, described.read_bytes()))
    summary["manifest"].update(name="other", label="rating >= 5", content_hash="f" * 16)
    write_sealed(folder / "dataset.json", summary)
    try:
        code, printed = run("compare", "taste/oracle/sim_score", "other/none")
    finally:
        shutil.rmtree(folder)
    assert code == 2
    assert "label 'a draw from the true click probability' and 'rating >= 5'" in printed
    assert "split" not in printed.split("they differ")[1].split("Both arms")[0]


def test_arms_with_different_settings_require_any_settings(run, trained):
    folder = _stored(trained, "none/none", "other", training={"learning_rate": 0.5})
    arms = ("compare", "taste/oracle/sim_score", "other/none")
    try:
        refused, reason = run(*arms)
        allowed, printed = run(*arms, "--any-settings")
    finally:
        shutil.rmtree(folder)
    assert (refused, allowed) == (2, 0)
    assert "different settings: training" in reason
    assert "Settings differ: training" in printed


def test_a_file_and_a_stored_arm_cannot_be_compared(run):
    code, printed = run("compare", "taste/none", "new.parquet")
    assert code == 2
    assert "give two files of predictions and no --file" in printed


def test_power_takes_the_effect_of_the_file(run, trained):
    file = write(trained.home, THREE + "effect: 50pp\n")
    try:
        assert "To detect 50 pp of GAUC" in run("power", str(file))[1]
    finally:
        write(trained.home, THREE)


def test_ranks_of_one_file_are_refused(run, trained):
    code, printed = run("ranks", str(trained.home / "benchmark.yaml"))
    assert code == 2
    assert "two data sets and two contenders; there are 1 and 2" in printed


@pytest.mark.parametrize("name", ["/taste/none", "../taste/none", "taste/../none"])
def test_names_that_are_paths_are_refused(run, name):
    code, printed = run("compare", name, "taste/none")
    assert code == 2
    assert "give DATASET/VERSION/MODE" in printed


def test_options_of_until_decided_require_it(run, trained):
    code, printed = run("run", str(trained.home / "benchmark.yaml"), "--most-seeds", "9")
    assert code == 2
    assert "require until_decided (--until-decided); add it" in printed


def test_the_answer_takes_the_effect_of_until_decided(run, trained):
    words = "--until-decided", "--most-seeds", "3", "--no-report", "--full", "--effect", "50pp"
    code, output = run("run", str(trained.home / "benchmark.yaml"), *words)
    assert code == 0, output
    answer = output.split("\n\n")[0]
    assert "50 pp" in answer, output


def test_a_crash_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def crash():
        raise ZeroDivisionError("our bug")

    monkeypatch.setitem(main.__globals__, "app", crash)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 70
    assert "ZeroDivisionError: our bug" in capsys.readouterr().err


def test_a_pack_prints_the_same_table_without_data(run, trained, tmp_path):
    file = str(trained.home / "benchmark.yaml")
    straight = run("tables", file, "--full")[1]
    code, printed = run("pack", file, "--output", str(tmp_path / "results/published/b.parquet"))
    assert code == 0
    assert "cells, " in printed
    elsewhere = CliRunner().invoke(app, ["--home", str(tmp_path), "tables", file, "--full"])
    assert elsewhere.output == straight
