"""Metrics that a benchmark file requests are computed from stored predictions."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ctrbench import impressions
from ctrbench.analysis.matrices import comparison_table
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, DataError
from ctrbench.metrics import calibration_error, ndcg
from ctrbench.reports import render
from ctrbench.runner import completed, run_matrix
from ctrbench.runner.exported import export_predictions
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import matrix

FILE = """\
dataset: shop
versions: [v]
modes: [sim_score]
seeds: [0, 1]
controls: none
repeat_baseline: false
slices: [history_below: 20]
model: {embedding_size: 4, field_embedding_size: 2, attention: [8], top: [8], history_length: 10}
training: {batch_size: 256}
"""
ASKED = FILE + "metrics: [ndcg@3, hit_rate@2, calibration_error]\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Workspace:
    """Return a workspace with requests of five impressions and trained cells."""
    home = tmp_path_factory.mktemp("requests") / "home"
    home.mkdir()
    draw = np.random.default_rng(0)
    requests = 500
    item = draw.integers(0, 60, 5 * requests)
    log = pd.DataFrame(
        {
            "user_id": np.repeat(draw.integers(0, 40, requests), 5),
            "item_id": item,
            "click": draw.random(5 * requests) < 0.1 + item / 100,
            "timestamp": np.repeat(np.arange(requests) * 1_000 + 10**9, 5),
            "request": np.repeat(np.arange(requests), 5).astype(str),
        }
    )
    log.to_parquet(home / "log.parquet")
    np.save(home / "v.npy", draw.normal(size=(60, 4)).astype(np.float32))
    (home / "v.txt").write_text("\n".join(map(str, range(60))))
    for words in (
        f"datasets import table --name shop --impressions {home}/log.parquet --split "
        "time:20/50/10/20 --snapshot session --snapshot-column request",
        f"embeddings add v --dataset shop --vectors {home}/v.npy --ids {home}/v.txt",
    ):
        result = CliRunner().invoke(app, ["--home", str(home), *words.split()])
        assert result.exit_code == 0, result.output
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, FILE), 2)
    return workspace


@pytest.fixture
def workspace(trained, tmp_path) -> Workspace:
    shutil.copytree(trained.home, tmp_path / "home")
    return Workspace(tmp_path / "home")


def test_requested_metrics_are_added_to_stored_cells(workspace):
    before = completed(workspace, matrix(workspace, FILE))
    plan = matrix(workspace, ASKED)
    left = workspace.results / ".partial-of-a-killed-command.json"
    left.touch()
    found = completed(workspace, plan)
    assert not left.exists()
    log = impressions.open_impressions(workspace, "shop")
    rows = log.rows("test")
    for key, record in found.items():
        p_click = Store(workspace).predictions(record.cell, "test")
        values = record.metrics["test"].values
        assert values["ndcg@3"] == ndcg(log.click[rows], p_click, log.group[rows], 3)
        assert values["calibration_error"] == calibration_error(log.click[rows], p_click)
        assert record.slices["history_below=20"].value("hit_rate@2") is not None
        old = before[key].metrics["test"].values
        assert {name: values[name] for name in old} == old
        assert Store(workspace).read(record.cell) == record
    assert completed(workspace, plan) == found


def test_tables_show_them_with_intervals(workspace):
    plan = matrix(workspace, ASKED)
    records = completed(workspace, plan)
    table = comparison_table(workspace, plan, records)
    titles = [block.title for block in table.blocks if block.comparison == "baseline"]
    assert titles == [
        "GAUC, delta against the baseline, pp",
        "AUC, delta against the baseline, pp",
        "NDCG@3, delta against the baseline, pp",
        "hit rate@2, delta against the baseline, pp",
        "expected calibration error, delta against the baseline, pp (less is better)",
        "GAUC on history shorter than 20 clicks, delta against the baseline, pp (exploratory)",
        "NDCG@3 on history shorter than 20 clicks, delta against the baseline, pp (exploratory)",
        "hit rate@2 on history shorter than 20 clicks, delta against the baseline, pp "
        "(exploratory)",
        "expected calibration error on history shorter than 20 clicks, delta against the baseline, "
        "pp (less is better, exploratory)",
    ]
    for block in table.blocks:
        (entry,) = block.lines[1].entries
        assert entry.delta is not None, block.title
        assert (entry.inference is None) == (block.metric == "calibration_error"), block.title
    rows = json.loads(render(table, "json"))["rows"]
    own = [row for row in rows if row["metric"] == "ndcg@3" and row["row"] == "v"]
    cells = {
        seed: [plan.cell(row, plan.columns[0], seed).hash for row in (plan.rows[0], None)]
        for seed in (0, 1)
    }
    deltas = [
        np.subtract(*(records[hash].metrics["test"].value("ndcg@3") for hash in pair))
        for pair in cells.values()
    ]
    assert own[0]["delta_pp"] == pytest.approx(100 * np.mean(deltas))


def test_the_other_metrics_of_a_table_do_not_change(workspace):
    plain, asked = (matrix(workspace, text) for text in (FILE, ASKED))
    before = render(comparison_table(workspace, plain, completed(workspace, plain)), "csv")
    more = render(comparison_table(workspace, asked, completed(workspace, asked)), "csv")
    after = render(comparison_table(workspace, plain, completed(workspace, plain)), "csv")
    assert before == after
    assert set(before.splitlines()) <= set(more.splitlines())


def test_without_lists_the_metric_is_not_defined(made_workspace, tmp_path):
    shutil.copytree(made_workspace.home, tmp_path / "home")
    workspace = Workspace(tmp_path / "home")
    text = FILE.replace("shop", "taste").replace("[v]", "[oracle]") + "metrics: ndcg\n"
    plan = matrix(workspace, text.replace("seeds: [0, 1]", "seeds: [0]"))
    run_matrix(workspace, plan, 2)
    table = comparison_table(workspace, plan, completed(workspace, plan))
    assert (
        "NDCG@10 is not defined: the data set has no impression lists (import it with --snapshot "
        "session and the column of the list as --snapshot-column), or no list has both a click and "
        "a non-click." in [note.text for note in table.footnotes]
    )


def test_compare_computes_a_requested_metric_of_a_file(workspace):
    path = workspace.home / "plain.yaml"
    path.write_text(FILE)
    words = ["compare", "v/sim_score", "none", "--file", str(path), "--metric", "hit_rate@3"]
    result = CliRunner().invoke(app, ["--home", str(workspace.home), *words, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["compared"]["metric"] == "hit_rate@3"
    words = ["compare", "shop/v/sim_score", "shop/none", "--metric", "ndcg@7"]
    result = CliRunner().invoke(app, ["--home", str(workspace.home), *words])
    assert str(result.exception) == (
        "ndcg@7 is not among the stored metrics of shop/v/sim_score. Compare arms of a benchmark "
        "file with --file FILE, which computes it from stored predictions."
    )


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            "[ndgc]",
            "line 10: metrics.0: no metric on request 'ndgc'; known: calibration_error, hit_rate, "
            "ndcg. Did you mean 'ndcg'?",
        ),
        (
            "auc",
            "line 10: metrics.0: no metric on request 'auc'; known: calibration_error, hit_rate, "
            "ndcg.",
        ),
        (
            "[calibration_error@3]",
            "line 10: metrics.0: no metric 'calibration_error@3'; known: auc, calibration_error, "
            "gauc, gauc_clicks, gauc_users, hit_rate, log_loss, ndcg, predicted_over_observed. Did "
            "you mean 'calibration_error'?",
        ),
        ("[ndcg@3, ndcg@3]", "line 10: metrics: 'ndcg@3' occurs 2 times"),
    ],
)
def test_unfit_requests(workspace, metrics, message):
    with pytest.raises(ConfigError) as raised:
        matrix(workspace, FILE + f"metrics: {metrics}\n")
    assert message in str(raised.value).splitlines()[-1]


def test_exported_predictions_and_users_reproduce_the_metrics(workspace):
    plan = matrix(workspace, FILE)
    path, folder = workspace.home / "benchmark.yaml", workspace.home / "out"
    words = ["export-predictions", str(path), "-o", str(folder)]
    result = CliRunner().invoke(app, ["--home", str(workspace.home), *words])
    assert result.exit_code == 0, (result.output, result.exception)
    log = impressions.open_impressions(workspace, "shop")
    test = log.rows("test")
    rows = pd.read_parquet(folder / "impressions.parquet")
    users = pd.read_parquet(folder / "users.parquet")
    records = completed(workspace, plan)
    assert rows.groupby("cell")["arm"].first().to_dict() == {
        plan.cell(None, None, 0).hash: "none",
        plan.cell(None, None, 1).hash: "none",
        plan.cell(plan.rows[0], plan.columns[0], 0).hash: "v / sim_score",
        plan.cell(plan.rows[0], plan.columns[0], 1).hash: "v / sim_score",
    }
    raw = impressions.raw_user_ids(workspace, "shop")
    for key, record in records.items():
        own, values = rows[rows["cell"] == key], record.metrics["test"].values
        assert set(own["seed"]) == {record.cell.seed}
        assert own["impression_id"].tolist() == list(range(test.start, test.stop))
        assert own["user_id"].tolist() == [raw[user - 1] for user in log.user_id[test]]
        assert own["click"].tolist() == log.click[test].tolist()
        assert own["group_id"].tolist() == log.group[test].tolist()
        p_click = Store(workspace).predictions(record.cell, "test")
        assert own["p_click"].tolist() == p_click.tolist()
        of = users[users["cell"] == key]
        assert of["impressions"].sum() == len(own)
        assert of["clicks"].sum() == own["click"].sum()
        mean = np.average(of["log_loss"], weights=of["impressions"])
        assert mean == pytest.approx(values["log_loss"])
        assert np.average(of["p_click"], weights=of["impressions"]) == pytest.approx(
            own["p_click"].mean()
        )
        some = of[of["auc"].notna()]
        assert np.average(some["auc"], weights=some["auc_weight"]) == pytest.approx(values["gauc"])
        one = some.iloc[0]
        mine = own[own["user_id"] == one["user_id"]]
        expected = []  # by pairs within each request
        for _, request in mine.groupby("group_id"):
            values, click = request["p_click"].to_numpy(), request["click"].to_numpy()
            pairs = np.subtract.outer(values[click == 1], values[click == 0])
            if pairs.size:
                expected.append(((pairs > 0) + (pairs == 0) / 2).mean())
        assert one["auc"] == pytest.approx(np.mean(expected))  # all requests have five rows
    text = (folder / "README.md").read_text()
    for table in (rows, users):
        assert all(f"| `{column}` |" in text for column in table)
    # a file of one arm is read back by `import-predictions`
    arm = rows[rows["arm"] == "v / sim_score"][["impression_id", "seed", "p_click"]]
    arm.to_parquet(workspace.home / "arm.parquet")
    words = ["import-predictions", str(workspace.home / "arm.parquet"), "--as", "x"]
    words += ["--dataset", "shop"]
    result = CliRunner().invoke(app, ["--home", str(workspace.home), *words])
    assert result.exit_code == 0, (result.output, result.exception)


def test_unfit_exports(workspace):
    plan = matrix(workspace, FILE)
    with pytest.raises(ConfigError) as raised:
        export_predictions(workspace, plan, workspace.home)
    assert str(raised.value) == f"{workspace.home} exists; name a folder that does not exist."
    shutil.rmtree(workspace.results)
    with pytest.raises(DataError) as raised:
        export_predictions(workspace, plan, workspace.home / "out")
    assert str(raised.value) == (
        f"no predictions of 4 cells are stored in {workspace.results}; run `ctrbench run FILE` "
        "first."
    )
    assert not (workspace.home / "out").exists()
