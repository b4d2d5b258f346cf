import os

import numpy as np
import pytest
from torch import nn

from ctrbench.atomic import is_held
from ctrbench.errors import StoreError
from ctrbench.pretraining.sources import FrozenVectors
from ctrbench.runner.cell import failed_record
from ctrbench.schema import Metrics, Trace
from ctrbench.store import Store
from tests.benchmark import matrix


@pytest.fixture
def cell(workspace):
    return next(iter(matrix(workspace).cells()))


def test_predictions_are_read_back_in_stored_order(workspace, cell):
    store, p_click = Store(workspace), np.random.default_rng(0).random(50, dtype=np.float32)
    predictions = {"valid": p_click[:20], "test": p_click[20:]}
    store.write(failed_record(cell, "", {}), predictions, {"valid": 100, "test": 120}, {})
    assert np.array_equal(store.predictions(cell, "test"), p_click[20:])
    assert np.array_equal(store.predictions(cell, "valid"), p_click[:20])


def test_every_file_is_written_into_the_temporary_file_whose_lock_is_held(
    workspace, cell, monkeypatch
):
    held = []
    monkeypatch.setattr("ctrbench.atomic._flush", lambda file: held.append(is_held(file)))
    store, values = Store(workspace), np.zeros(3, np.float32)
    store.write(failed_record(cell, "", {}), {"test": values}, {"test": 0}, {"test/auc": values})
    store.write_model(cell, {"weight": values})
    FrozenVectors.save(None, nn.Linear(2, 1), workspace.home / "weights.safetensors")
    assert held == [True] * 5  # predictions, influence values, record, weights, weights


def test_record_is_read_back_unchanged(workspace, cell):
    store, record = Store(workspace), failed_record(cell, "why", {"torch": "1"})
    assert store.read(cell) is None
    store.update(record)
    assert store.read(cell) == record
    assert list(store.records("taste")) == [record]


def test_damaged_record_is_an_error(workspace, cell):
    path = Store(workspace).path(cell)
    path.parent.mkdir(parents=True)
    path.write_text('{"hash": "half')
    with pytest.raises(StoreError, match=r"none.*json is damaged: it is no JSON object \("):
        Store(workspace).read(cell)


def test_record_of_another_cell_is_an_error(workspace):
    one, other, *_ = matrix(workspace).cells()
    store = Store(workspace)
    store.update(failed_record(one, "", {}))
    store.path(other).parent.mkdir(parents=True)
    store.path(other).write_bytes(store.path(one).read_bytes())
    with pytest.raises(StoreError, match="is the record of another cell"):
        store.read(other)


def test_finished_record_without_metrics_is_an_error(workspace, cell):
    store, record = Store(workspace), failed_record(cell, "", {})
    store.update(record.model_copy(update={"status": "done"}))
    with pytest.raises(StoreError, match=r"\.json.* metrics of valid"):
        store.read(cell)


def test_non_finite_metric_is_an_error(workspace, cell):
    store, record = Store(workspace), failed_record(cell, "", {})
    whole = dict.fromkeys(Metrics.model_fields, 1) | {"gauc": float("nan")}
    text = record.model_copy(update={"slices": {"a": Metrics(**whole)}}).model_dump_json()
    store.path(cell).parent.mkdir(parents=True)
    store.path(cell).write_text(text.replace('"gauc":null', '"gauc":NaN'))
    with pytest.raises(StoreError, match=r"\.json .*metric"):
        store.read(cell)


def test_trace_without_points_is_an_error(workspace, cell):
    store = Store(workspace)
    store.write_trace(cell, Trace(points=(), permuted={}))
    with pytest.raises(StoreError, match=r"\.trace .*--trace"):
        store.read_trace(cell)


def test_non_finite_predictions_are_an_error(workspace, cell):
    store, p_click = Store(workspace), np.array([0.5, np.nan], np.float32)
    store.write(failed_record(cell, "", {}), {"test": p_click}, {"test": 0}, {})
    with pytest.raises(StoreError, match=r"\.parquet .*predictions of test"):
        store.predictions(cell, "test")


def test_folder_pipe_or_link_cycle_instead_of_a_record_is_an_error(workspace, cell):
    store = Store(workspace)
    store.path(cell).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"json .*plain file"):
        store.read(cell)
    store.path(cell).rmdir()
    os.mkfifo(store.path(cell))  # a reader would wait forever
    with pytest.raises(StoreError, match=r"json .*plain file"):
        store.read(cell)
    store.path(cell).unlink()
    store.path(cell).symlink_to(store.path(cell))
    with pytest.raises(StoreError, match=r"json cannot be read: Too many levels"):
        store.read(cell)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"half"])
def test_damaged_predictions_are_an_error(workspace, cell, damage):
    store, p_click = Store(workspace), np.ones(9, np.float32)
    store.write(failed_record(cell, "", {}), {"test": p_click}, {"test": 0}, {})
    path = store.path(cell).with_suffix(".parquet")
    whole = path.read_bytes()
    path.write_bytes(damage if damage != b"half" else whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="parquet is damaged"):
        store.predictions(cell, "test")


def test_influence_values_are_read_back_as_float32(workspace, cell):
    store, values = Store(workspace), np.random.default_rng(0).normal(size=30)
    assert store.influence(cell) == {}
    count = np.array([7])
    counts = {"test/impressions": count, "unseen_items/impressions": count}
    given = counts | {"test/auc": values, "test/auc/worth": np.array([12.5])}
    store.update(failed_record(cell, "", {}), given)
    found = store.influence(cell)
    assert found.keys() == given.keys()
    np.testing.assert_array_equal(found["test/auc"], values.astype(np.float32))
    assert store.measured(cell) == {"test", "unseen_items"}


def test_damaged_influence_values_are_an_error(workspace, cell):
    store = Store(workspace)
    store.update(failed_record(cell, "", {}), {"test/auc": np.ones(30)})
    path = store.path(cell).with_suffix(".users.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"users.npz is damaged"):
        store.influence(cell)


def test_absent_predictions_are_none(workspace, cell):
    assert Store(workspace).predictions(cell, "test") is None


def test_weights_are_read_back_unchanged(workspace, cell):
    store = Store(workspace)
    state = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(3)}
    assert not store.has_model(cell)
    assert store.read_model(cell) is None
    store.write_model(cell, state)
    assert store.has_model(cell)
    found = store.read_model(cell)
    assert found is not None
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], values) for name, values in state.items())
    assert all(found[name].dtype == values.dtype for name, values in state.items())


def test_weights_of_another_cell_and_damaged_ones_are_errors(workspace):
    (one, other, *_), store = matrix(workspace).cells(), Store(workspace)
    store.write_model(one, {"weight": np.ones(3, np.float32)})
    source, path = (store.path(own).with_suffix(".safetensors") for own in (one, other))
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    with pytest.raises(StoreError) as caught:
        store.read_model(other)
    assert str(caught.value) == (
        f"{path} belongs to the cell {one.hash}. Delete it; `ctrbench export` trains the cell "
        f"{other.hash} again."
    )
    source.write_bytes(source.read_bytes()[:20])
    with pytest.raises(StoreError) as caught:
        store.read_model(one)
    assert str(caught.value).startswith(f"{source} is damaged (")
    assert str(caught.value).endswith("Delete it; `ctrbench export` trains the cell again.")
