from dataclasses import replace

import mlflow
import pytest

from ctrbench.trackers import load
from tests.trackers.made import CELL, TABLE


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Restore the variables that the tracker sets by default."""
    for name in (
        "MLFLOW_ALLOW_FILE_STORE",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_runs_of_the_local_file_store_are_read_back(tmp_path):
    tracker = load("mlflow", tmp_path / "folder with blanks", "shop")
    tracker.start()
    assert not tracker.has("abc123")
    many = {f"setting.{number}": number for number in range(250)}
    for run in (CELL, TABLE, replace(CELL, key="other", settings=many, failed=True)):
        tracker.log(run)
        assert tracker.has(run.key)
    client = mlflow.MlflowClient((tmp_path / "folder with blanks").as_uri())
    experiment = client.get_experiment_by_name("shop")
    runs = {
        one.data.tags["ctrbench.key"]: one for one in client.search_runs([experiment.experiment_id])
    }
    cell = runs["abc123"]
    assert (cell.info.run_name, cell.info.status) == (CELL.name, "FINISHED")
    assert cell.data.params == {name: str(value) for name, value in CELL.settings.items()}
    assert cell.data.metrics == {
        "test/gauc": 0.625,
        "slice/genres_Drama/ndcg_5": 0.5,
        "curve/loss": 0.5,
        "curve/auc": 0.625,
    }
    history = client.get_metric_history(cell.info.run_id, "curve/loss")
    assert [(one.step, one.value) for one in history] == [(512, 0.75), (1024, 0.5)]
    table = runs["table-1"]
    for name, text in TABLE.files.items():
        assert mlflow.artifacts.load_text(f"{table.info.artifact_uri}/{name}") == text
    assert runs["other"].info.status == "FAILED"
    assert len(runs["other"].data.params) == 250
    again = load("mlflow", tmp_path / "folder with blanks", "shop")
    assert again.has("abc123")
    assert not again.has("abc")


def test_a_server_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    tracker = load("mlflow", tmp_path, "shop")
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"127\.0\.0\.1"):
        tracker.start()
