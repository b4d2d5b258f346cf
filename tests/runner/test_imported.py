import numpy as np
import pandas as pd
import pytest

from ctrbench import impressions
from ctrbench.errors import ConfigError, DataError
from ctrbench.metrics import evaluate
from ctrbench.runner.imported import import_predictions
from ctrbench.store import Store


@pytest.fixture
def log(workspace):
    return impressions.open_impressions(workspace, "taste")


@pytest.fixture
def frame(workspace, log) -> pd.DataFrame:
    """Return predictions of the test impressions, in stored order."""
    rows = log.rows("test")
    users = np.array(["", *impressions.raw_user_ids(workspace, "taste")])
    items = np.array(["", *impressions.raw_item_ids(workspace, "taste")])
    return pd.DataFrame(
        {
            "impression_id": np.arange(rows.start, rows.stop),
            "user_id": users[log.user_id[rows]],
            "item_id": items[log.item_id[rows]],
            "timestamp": log.timestamp[rows],
            "click": log.click[rows],
            "p_click": log.p_true[rows],
        }
    )


@pytest.fixture
def load(workspace):
    def go(frame: pd.DataFrame, name: str = "gbdt", file: str = "p.parquet"):
        path = workspace.home / file
        frame.to_csv(path, index=False) if file.endswith("csv") else frame.to_parquet(path)
        return import_predictions(workspace, path, name, "taste")

    return go


@pytest.mark.parametrize("file", ["p.parquet", "p.csv"])
@pytest.mark.parametrize("keys", [["impression_id"], ["user_id", "item_id", "timestamp"]])
def test_rows_in_any_order(workspace, log, frame, load, keys, file):
    shuffled = frame[[*keys, "p_click"]].sample(frac=1, random_state=0)
    found = load(shuffled, file=file)
    assert (found.new, found.matched_by, found.manifest.seeds) == (True, tuple(keys), (0,))
    rows = log.rows("test")
    expected = evaluate(log.click[rows], log.p_true[rows], log.user_id[rows])
    assert found.metrics[0].value("gauc") == pytest.approx(expected.value("gauc"))
    stored = Store(workspace).predictions(found.manifest.cell(0), "test")
    np.testing.assert_allclose(stored, log.p_true[rows], rtol=1e-6)


def test_scores_have_no_calibration(frame, load):
    p = frame["p_click"]
    scores = frame.drop(columns="p_click").assign(score=np.log(p / (1 - p)))
    ours, theirs = load(scores, "logits").metrics[0], load(frame).metrics[0]
    assert ours.value("auc") == pytest.approx(theirs.value("auc"))
    assert (ours.value("log_loss"), theirs.value("log_loss") is None) == (None, False)


def test_seeds(frame, load):
    parts = [frame.assign(seed=seed, p_click=frame["p_click"] ** seed) for seed in (2, 1)]
    found = load(pd.concat(parts))
    assert found.manifest.seeds == (1, 2)
    assert len(found.metrics) == 2


def test_a_name_keeps_its_predictions(workspace, frame, load):
    first = load(frame)
    again = load(frame)
    assert (again.new, again.manifest) == (False, first.manifest)
    with pytest.raises(ConfigError, match="gbdt"):
        load(frame.assign(p_click=frame["p_click"] / 2))
    assert Store(workspace).imported_names("taste") == ["gbdt"]


def test_equal_impressions_need_equal_predictions_or_an_id(frame, load):
    twice = frame[frame.duplicated(["user_id", "item_id"], keep=False)]
    keys = frame[["user_id", "item_id", "p_click"]]
    assert len(twice)
    row = twice.iloc[0]
    with pytest.raises(DataError, match=f"user_id {row.user_id} item_id {row.item_id}.*impression"):
        load(keys)
    assert load(
        keys.assign(p_click=frame.index.map(lambda i: 0.1 if i in twice.index else i / 1e4))
    )


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda f: f.iloc[1:], ["1 test impression(s) without a prediction", "impression_id 3200"]),
        (lambda f: pd.concat([f, f.iloc[:2]]), ["2 test", "repeated", "impression_id 3200"]),
        (
            lambda f: f.assign(impression_id=f["impression_id"] + 1),
            ["4000", "without a prediction"],
        ),
        (lambda f: f.assign(click=1 - f["click"]), ["click of 800 rows"]),
        (lambda f: f.assign(user_id="x"), ["user_id of 800 rows", "x instead of"]),
        (lambda f: f.assign(p_click=0.5), ["0.5"]),
        (lambda f: f.assign(p_click=2.0), ["outside", "are a column score"]),
        (lambda f: f.assign(p_click=np.nan), ["missing"]),
        (lambda f: f.assign(seed=0.5), ["'seed'", "0.5"]),
        (
            lambda f: f.assign(timestamp="2026-01-01"),
            ["'timestamp'", "2026-01-01", "; write whole numbers, in the unit of the log"],
        ),
    ],
)
def test_rows_that_are_not_the_test_impressions(frame, load, change, shown):
    with pytest.raises(DataError) as error:
        load(change(frame))
    assert all(part in str(error.value) for part in shown), error.value


def test_a_wrong_seed_is_named(frame, load):
    with pytest.raises(DataError, match=r"seed 1: .*(\n.*)*1 test impression.s. without"):
        load(pd.concat([frame.assign(seed=0), frame.iloc[1:].assign(seed=1)]))


@pytest.mark.parametrize("columns", [["p_click"], ["user_id", "p_click"], ["impression_id"]])
def test_columns_that_are_missing(frame, load, columns):
    with pytest.raises(ConfigError):
        load(frame[columns])


def test_both_values(frame, load):
    with pytest.raises(ConfigError, match="exactly one"):
        load(frame.assign(score=1))
