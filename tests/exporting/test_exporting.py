import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctrbench import impressions
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.exporting import export, rows
from tests.benchmark import SMALL, write


@pytest.fixture
def log(workspace):
    return impressions.open_impressions(workspace, "taste")


def test_rows_are_those_of_the_log(workspace, log, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "ROWS", 300)
    found = export(workspace, "taste", "parquet", tmp_path / "out", history_length=3)
    assert found.impressions == {"train": 2000, "valid": 400, "test": 800}
    users = impressions.raw_user_ids(workspace, "taste")
    items = impressions.raw_item_ids(workspace, "taste")
    categories = [None, *impressions.vocabulary(workspace, "taste", "category")]
    lines = pq.read_table(tmp_path / "out" / "test.parquet").to_pylist()
    start = log.rows("test").start
    assert [line["impression_id"] for line in lines] == [*range(start, start + 800)]
    for line in lines:
        row = line["impression_id"]
        assert line["user_id"] == users[log.user_id[row] - 1]
        assert line["item_id"] == items[log.item_id[row] - 1]
        assert line["click"] == log.click[row]
        end = log.history_start[row] + log.history_length[row]
        shown = log.history_items[max(log.history_start[row], end - 3) : end]
        assert line["history"] == [items[item - 1] for item in shown]
        assert line["log_history_length"] == pytest.approx(np.log1p(log.history_length[row]))
        before = log.prior_impressions[row]
        rate = log.prior_clicks[row] / before if before else None
        assert line["click_rate"] == (rate if rate is None else pytest.approx(rate))
        assert line["category"] == categories[log.item_fields["category"][log.item_id[row]]]


def test_text_formats_hold_the_same_rows(workspace, tmp_path):
    for format in ("parquet", "fuxictr", "recbole"):
        export(workspace, "taste", format, tmp_path / format)
    expected = pq.read_table(tmp_path / "parquet" / "valid.parquet").to_pylist()
    for path, delimiter, separator, column in (
        (tmp_path / "fuxictr" / "valid.csv", ",", "^", "history"),
        (tmp_path / "recbole" / "taste.valid.inter", "\t", " ", "item_id_list:token_seq"),
    ):
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream, delimiter=delimiter))
        histories = [list(filter(None, line[column].split(separator))) for line in lines]
        assert histories == [line["history"] for line in expected]
        prices = [float(line.get("price") or line["price:float"]) for line in lines]
        assert prices == pytest.approx([line["price"] for line in expected])
    config = json.loads((tmp_path / "fuxictr" / "dataset_config.yaml").read_text(encoding="utf-8"))
    features = {one["name"]: one for one in config["taste"]["feature_cols"]}
    assert features["history"]["share_embedding"] == "item_id"
    assert features["price"]["type"] == "numeric"
    assert not {"click", "timestamp", "impression_id"} & features.keys()


def test_lists_of_values(workspace, log, impressions_with_lists, monkeypatch):
    made = rows.Rows(workspace, impressions_with_lists, 2)
    (table,) = list(made.tables("test"))
    tags = table["tags"].to_pylist()
    column = impressions_with_lists.item_fields["tags"]
    for row, found in zip(range(log.rows("test").start, 4000), tags, strict=True):
        item = log.item_id[row]
        codes = column.values[column.offsets[item] : column.offsets[item + 1]]
        assert found == [f"t{code}" for code in codes]


@pytest.fixture
def impressions_with_lists(log, monkeypatch):
    """Return the log with a list field of the items, whose values are t1 and t2."""
    from ctrbench.schema import Field, Ragged

    lengths = np.arange(log.item_rows) % 3
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tags = Ragged(offsets, np.arange(offsets[-1], dtype=np.int32) % 2 + 1)
    field = Field(name="tags", of="item", kind="list", size=2)
    manifest = log.manifest.model_copy(update={"fields": (field,)})
    monkeypatch.setattr(impressions, "vocabulary", lambda *_: ["t1", "t2"])
    return replace(log, manifest=manifest, item_fields={"tags": tags})


def test_ids_that_hold_the_separator(workspace, tmp_path, monkeypatch):
    ids = [f"a {i}" for i in range(60)]
    monkeypatch.setattr(impressions, "raw_item_ids", lambda *_: ids)
    export(workspace, "taste", "fuxictr", tmp_path / "fuxictr")
    with pytest.raises(DataError, match="' '"):
        export(workspace, "taste", "recbole", tmp_path / "recbole")
    assert not (tmp_path / "recbole").exists()


def test_mistakes(workspace, tmp_path):
    with pytest.raises(UnknownNameError, match="parquet"):
        export(workspace, "taste", "parkett", tmp_path / "out")
    with pytest.raises(ConfigError, match="exists"):
        export(workspace, "taste", "parquet", tmp_path)


def test_round_trip_of_a_model_of_another_library(workspace, tmp_path):
    """Export, fit on `train`, predict `test`, import, and read the table."""
    from sklearn.linear_model import LogisticRegression

    def call(*words):
        result = CliRunner().invoke(app, ["--home", str(workspace.home), *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.stdout

    folder = tmp_path / "out"
    call("datasets", "export", "taste", "-o", folder)
    train, test = (pq.read_table(folder / f"{p}.parquet").to_pandas() for p in ("train", "test"))
    rate = train.groupby("item_id")["click"].mean()
    inputs = [
        np.stack([part["item_id"].map(rate).fillna(rate.mean()), part["log_history_length"]], 1)
        for part in (train, test)
    ]
    model = LogisticRegression().fit(inputs[0], train["click"])
    predicted = test[["impression_id"]].assign(p_click=model.predict_proba(inputs[1])[:, 1])
    predicted.to_csv(tmp_path / "p.csv", index=False)
    assert "800 test impressions" in call(
        "import-predictions", tmp_path / "p.csv", "--as", "lr", "--dataset", "taste"
    )
    file = write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1]\npredictions: lr"))
    table = json.loads(call("run", file, "--json", "--jobs", "1", "-q"))
    (row, *others) = [
        one
        for one in table["rows"]
        if one["row"] == "lr (imported)" and one["metric"] == "gauc" and not one["slice"]
    ]
    assert len(others) == 2  # one place per mode, with equal numbers
    assert {one["delta_pp"] for one in others} == {row["delta_pp"]}
    assert row["low_pp"] < row["delta_pp"] < row["high_pp"]
    assert (row["seeds"], row["variance_seeds"], row["answer"]) == (1, 0.0, None)
    assert "seed variance of the difference is unknown" in row["notes"]
    (verdict,) = [v for v in table["verdicts"] if v["comparison"].startswith("lr (imported)")]
    assert "on this seed" in verdict["verdict"]
    file = write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1]"))
    alone = json.loads(call("tables", file, "--json"))["rows"]
    ours = [one for one in table["rows"] if one["row"] != "lr (imported)"]
    assert ours == alone  # imported predictions change no other number
