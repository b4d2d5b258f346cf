"""Trackers get every cell once, and never fail a run."""

import importlib.util

import pytest
from typer.testing import CliRunner

from ctrbench import trackers
from ctrbench.analysis.matrices import comparison_table
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.runner import run_matrix
from ctrbench.runner.cell import failed_record
from ctrbench.runner.tracked import Tracking
from tests.benchmark import SMALL, matrix, write
from tests.installing import package_of

ONE = SMALL.replace("[oracle, random]", "[oracle]").replace(
    "modes:\n  vector: {width: 4}\n  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}",
    "modes: [sim_score]\nslices: [history_below: 3]",
)
LISTED = """
import json

from ctrbench.trackers import Tracker


class Contender(Tracker):
    module, package = "json", "json"

    def has(self, key):
        return (self.folder / key).exists()

    def log(self, run):
        if "full" in self.project:
            raise OSError("no space\\nleft")
        content = [run.name, dict(run.settings), dict(run.metrics), len(run.curve), dict(run.files)]
        (self.folder / run.key).write_text(json.dumps([*content, run.failed]))


"""
REMOTE = """
from ctrbench.trackers import Tracker


class Contender(Tracker):
    module, package = "json", "json"

    def start(self):
        raise ConnectionError("no answer from example.org")

    def has(self, key):
        raise AssertionError

    log = has
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    group = "ctrbench.trackers"
    files = {(group, "listed"): LISTED, (group, "remote"): REMOTE}
    with package_of(files, tmp_path / "installed", monkeypatch):
        yield


def _read(workspace):
    import json

    paths = sorted((workspace.tracking / "listed").iterdir())
    return {path.name: json.loads(path.read_text()) for path in paths}


def test_a_run_sends_each_cell_and_the_table_once(workspace, installed):
    file = write(workspace.home, ONE)
    words = ["--home", str(workspace.home), "run", str(file), "--track", "listed", "--no-report"]
    first = CliRunner().invoke(app, [*words, "--jobs", "2"])
    assert first.exit_code == 0, first.output
    assert "turned off" not in first.stderr
    sent = _read(workspace)
    cells = {cell.hash: cell for cell in matrix(workspace, ONE).cells()}
    (table,) = sent.keys() - cells.keys()
    assert sent.keys() == {*cells, table}
    records = run_matrix(workspace, matrix(workspace, ONE))
    for key, cell in cells.items():
        name, settings, metrics, points, files, failed = sent[key]
        record = records[key]
        assert (name, points, files, failed) == (cell.label, len(record.curve), {}, False)
        assert settings["training.batch_size"] == 256
        assert settings["model.attention"] == "[8]"
        assert settings["mode"] == cell.mode
        assert metrics["test/gauc"] == record.metrics["test"].value("gauc")
        assert metrics["valid/log_loss"] == record.metrics["valid"].value("log_loss")
        assert metrics["slice/history_below=3/auc"] == record.slices["history_below=3"].value("auc")
        assert metrics["seconds/train"] == record.seconds["train"]
    assert set(sent[table][4]) == {"table.md", "table.csv", "table.json"}
    assert "**GAUC, delta against the baseline, pp**" in sent[table][4]["table.md"]
    times = {path: path.stat().st_mtime_ns for path in (workspace.tracking / "listed").iterdir()}
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(_read(workspace)) == len(sent)


def test_trackers_that_fail_are_turned_off_with_one_warning_each(workspace, installed):
    told = []
    tracking = Tracking(workspace, ["listed", "remote"], "full disk", told.append)
    assert told == [
        "tracker remote is turned off, and the run continues without it. ConnectionError: no "
        "answer from example.org. Run the command again with --track remote to send what is "
        "missing."
    ]
    plan = matrix(workspace, ONE)
    records = {one.hash: failed_record(one, "diverged", {}) for one in plan.cells()}
    for record in records.values():
        tracking.cell(record)
    tracking.finish(records, comparison_table(workspace, plan, records))
    assert told[1:] == [
        "tracker listed is turned off, and the run continues without it. OSError: no space left. "
        "Run the command again with --track listed to send what is missing."
    ]


def test_a_failed_cell_is_a_failed_run_that_a_later_success_does_not_replace(workspace, installed):
    tracking = Tracking(workspace, ["listed"], "project", pytest.fail)
    cell = next(matrix(workspace, ONE).cells())
    tracking.cell(failed_record(cell, "diverged", {}))
    ((key, (_, settings, _, _, _, failed)),) = _read(workspace).items()
    assert (key, settings["reason"], failed) == (f"{cell.hash}-failed", "diverged", True)


def test_a_missing_package_is_a_mistake_before_anything_is_trained(workspace, monkeypatch):
    file = write(workspace.home, ONE)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "ctrbench.trackers._base.importlib.util.find_spec",
        lambda name: None if name == "wandb" else found(name),
    )
    words = ["--home", str(workspace.home), "run", str(file), "--track", "wandb"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == (
        "tracker wandb requires the package wandb, which is not installed: pip install wandb"
    )
    assert not workspace.results.exists()


def test_unknown_and_repeated_names(workspace):
    with pytest.raises(UnknownNameError) as raised:
        Tracking(workspace, ["mlflo"], "project", pytest.fail)
    assert str(raised.value) == (
        "no tracker 'mlflo'; known: mlflow, tensorboard, wandb. Did you mean 'mlflow'?"
    )
    with pytest.raises(ConfigError) as raised:
        Tracking(workspace, ["wandb", "wandb"], "project", pytest.fail)
    assert str(raised.value) == "tracker wandb is named twice; name it once."


def test_modules_of_trackers_are_imported_late(workspace):
    """A name is checked without the package."""
    for name in ("tensorboard", "mlflow", "wandb"):
        assert trackers.load(name, workspace.tracking / name, "project").folder.name == name
