"""Damaged and exchanged result files are named, and only their cells are made again."""

import errno
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctrbench import impressions, upkeep
from ctrbench.analysis.matrices import comparison_table
from ctrbench.errors import DamagedError, StoreError
from ctrbench.page.writing import report_of_run, write_report_of_run
from ctrbench.runner import completed, missing_cells, run_matrix, stored_records
from ctrbench.runner.states import planned
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix
from tests.runner.test_run import Watcher

TEXT = SMALL.replace("[oracle, random]", "[oracle]").replace(
    "  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", ""
)
TEXT = TEXT.replace("seeds: [0]", "seeds: [0, 1]")


@pytest.fixture(scope="module")
def trained(made_workspace, tmp_path_factory) -> Workspace:
    """The baseline and one arm with two seeds each."""
    home = tmp_path_factory.mktemp("damage") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, TEXT), 2, False, Watcher())
    return workspace


@pytest.fixture
def stored(trained, tmp_path) -> Workspace:
    return Workspace(shutil.copytree(trained.home, tmp_path / "home"))


def cell_files(workspace):
    """The record of the arm's seed 0 and that of its seed 1, and the matrix."""
    made = matrix(workspace, TEXT)
    store = Store(workspace)
    one, other = (c for c in made.cells() if c.mode == "vector")
    return made, one, store.path(one), store.path(other)


def flip(path, at=0.5):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 4
    path.write_bytes(content)


def edit_metric(record, other):
    value = json.loads(record.read_bytes())
    value["metrics"]["test"]["gauc"] += 0.01
    record.write_text(json.dumps(value))


def cut(record, other):
    record.write_bytes(record.read_bytes()[:-40])


def copy_other(record, other):
    shutil.copy(other, record)


def copy_other_under_this_hash(record, other):
    value = json.loads(other.read_bytes())
    value["hash"] = record.stem
    record.write_text(json.dumps(value))


RECORDS = {
    "is damaged or was edited: its checksum differs": edit_metric,
    "is damaged: it is no JSON object (": cut,
    "is the record of another cell (taste / oracle / vector / seed 1)": copy_other,
    " is damaged or was edited: its checksum differs": copy_other_under_this_hash,
}


@pytest.mark.parametrize("message", RECORDS)
def test_a_damaged_record_fails_its_cell_alone_and_is_made_again(stored, message):
    made, cell, record, other = cell_files(stored)
    before = completed(stored, made)
    RECORDS[message](record, other)
    after = completed(stored, made)
    damaged = after.pop(cell.hash)
    assert damaged.status == "failed"
    assert damaged.reason.startswith(f"{record} {message.strip()}")
    assert after == {key: one for key, one in before.items() if key != cell.hash}
    assert missing_cells(stored, made.cells()) == [cell]
    notes = comparison_table(stored, made, completed(stored, made)).footnotes
    prefix = f"oracle / vector, seed 0 failed: {damaged.reason.rstrip('.')}"
    assert any(note.text.startswith(prefix) for note in notes)
    watcher = Watcher()
    again = run_matrix(stored, made, 1, False, watcher)
    assert [one.cell for one in watcher.records] == [cell]
    assert again[cell.hash].metrics == before[cell.hash].metrics


def flip_influence(influence, other):
    flip(influence)


def cut_influence(influence, other):
    influence.write_bytes(influence.read_bytes()[:-100])


INFLUENCE = {
    "its checksum differs": flip_influence,
    "is damaged: it is no whole .npz file": cut_influence,
    "belongs to the cell": copy_other,
    "is missing": lambda influence, other: influence.unlink(),
}


@pytest.mark.parametrize("message", INFLUENCE)
@pytest.mark.parametrize("with_predictions", [True, False])
def test_damaged_influence_values_are_computed_again(stored, message, with_predictions):
    made, cell, record, other = cell_files(stored)
    before = Store(stored).influence(cell)
    influence, theirs = (path.with_suffix(".users.npz") for path in (record, other))
    INFLUENCE[message](influence, theirs)
    if not with_predictions:
        record.with_suffix(".parquet").unlink()
    found = completed(stored, made)[cell.hash]
    if with_predictions:
        assert found.status == "done"
    else:
        assert found.status == "failed"
        assert str(influence) in found.reason
        assert message in found.reason
        assert missing_cells(stored, made.cells()) == [cell]
        run_matrix(stored, made, 1, False, Watcher())
    after = Store(stored).influence(cell)
    assert after.keys() == before.keys()
    for key, values in before.items():
        np.testing.assert_array_equal(after[key], values)


def test_exchanged_or_flipped_predictions_are_not_measured(stored):
    _, cell, record, other = cell_files(stored)
    sliced = matrix(stored, TEXT + "slices: [{history_below: 3}]\n")
    predictions = record.with_suffix(".parquet")
    kept = predictions.read_bytes()
    shutil.copy(other.with_suffix(".parquet"), predictions)
    reason = completed(stored, sliced)[cell.hash].reason
    assert f"{predictions} belongs to the cell {other.stem}, not to {cell.hash}" in reason
    predictions.write_bytes(kept)
    flip(predictions, at=0.4)
    assert f"{predictions} is damaged (" in completed(stored, sliced)[cell.hash].reason
    predictions.write_bytes(kept)
    assert completed(stored, sliced)[cell.hash].status == "done"


def test_a_damaged_description_of_the_data_is_made_again(stored):
    made = matrix(stored, TEXT)
    path = stored.results / "taste" / "dataset.json"
    before = path.read_bytes()
    value = json.loads(before)
    value["reference"]["gauc"] = 0.9
    path.write_text(json.dumps(value))
    run_matrix(stored, made, 1, False, Watcher())
    assert path.read_bytes() == before


def cached(workspace, name):
    (path,) = (workspace.cache / name.split("/")[0]).rglob(name.split("/")[1])
    return path


CACHED = {
    "prepared/item.vector.npy": TEXT.replace("[0, 1]", "[0]"),
    "warm_start/state.pt": TEXT.replace("[0, 1]", "[0]").replace("256}", "256, warm_start: 0.5}"),
}


@pytest.mark.parametrize("damage", [flip, lambda path: os.truncate(path, 200)])
@pytest.mark.parametrize("name", CACHED)
def test_a_damaged_cache_is_made_again(workspace, name, damage):
    made = matrix(workspace, CACHED[name])
    before = run_matrix(workspace, made, 1, False, Watcher())
    path = cached(workspace, name)
    content = path.read_bytes()
    damage(path)
    shutil.rmtree(workspace.results)
    after = run_matrix(workspace, made, 1, False, Watcher())
    assert {key: one.metrics for key, one in after.items()} == {
        key: one.metrics for key, one in before.items()
    }
    if name.endswith(".npy"):  # torch.save writes other bytes each time
        assert cached(workspace, name).read_bytes() == content


def test_damaged_arrays_of_the_data_are_derived_again(workspace):
    made = matrix(workspace, TEXT.replace("[0, 1]", "[0]"))
    path = cached(workspace, "data/impressions.click.npy")
    content = path.read_bytes()
    for damage in (flip, lambda path: os.truncate(path, 200), os.unlink):
        damage(path)
        impressions.require_intact(workspace, "taste")
        assert path.read_bytes() == content
    flip(path)
    assert all(one.status == "done" for one in run_matrix(workspace, made).values())
    assert path.read_bytes() == content


def test_changed_data_and_vectors_are_refused_before_training(workspace):
    made = matrix(workspace, TEXT)
    vectors = workspace.embeddings / "taste" / "oracle" / "vectors.npy"
    flip(vectors)
    with pytest.raises(DamagedError, match="embedding version 'oracle' of 'taste' is damaged"):
        run_matrix(workspace, made)
    with pytest.raises(DamagedError, match="embedding version 'oracle' of 'taste' is damaged"):
        planned(workspace, made, 1)
    flip(vectors)
    table = workspace.data / "taste" / "impressions.parquet"
    rows = pq.read_table(table)
    click = pc.bit_wise_xor(rows["click"], pa.scalar(1, rows["click"].type))
    position = rows.schema.get_field_index("click")
    pq.write_table(rows.set_column(position, rows.schema.field(position), click), table)
    shutil.rmtree(workspace.cache / "data")
    with pytest.raises(DamagedError, match="data set 'taste' is damaged: its files changed after"):
        run_matrix(workspace, made)
    assert not list(workspace.results.rglob("*.users.npz"))


def test_a_workspace_without_permission_to_write_is_read(stored):
    made, cell, record, _ = cell_files(stored)
    before = completed(stored, made)
    record.with_suffix(".users.npz").unlink()
    shutil.rmtree(stored.cache)
    stored.cache.write_text("not a folder, so that nothing can be written")
    after = completed(stored, matrix(stored, TEXT))
    assert after.pop(cell.hash).reason.startswith(f"{record.with_suffix('.users.npz')} is missing")
    assert after == {key: one for key, one in before.items() if key != cell.hash}
    assert planned(stored, made, 1).status.done == 4
    assert impressions.check(stored, "taste")


def test_records_and_files_of_the_future_are_kept(stored, monkeypatch):
    made, _, _, _ = cell_files(stored)
    before = completed(stored, made)
    for record in before.values():
        Store(stored).update(record.model_copy(update={"finished": "2099-01-01T00:00:00+00:00"}))
    for path in stored.home.rglob("*"):
        os.utime(path, (4e9, 4e9), follow_symlinks=False)
    assert upkeep.orphans(stored) == []
    watcher = Watcher()
    after = run_matrix(stored, made, 1, False, watcher)
    assert watcher.records == []
    assert {key: one.metrics for key, one in after.items()} == {
        key: one.metrics for key, one in before.items()
    }
    report = write_report_of_run(stored, stored.home / "benchmark.yaml", made, after)
    assert report.current
    assert report_of_run(stored, stored.home / "benchmark.yaml", after).current


def test_without_locks_results_are_read_and_training_stops(stored, monkeypatch):
    made, _, record, _ = cell_files(stored)
    record.unlink()
    before = sorted(stored.results.rglob("*"))

    def flock(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(StoreError, match="has no locks"):
        run_matrix(stored, made, 1, False, Watcher())
    assert sorted(stored.results.rglob("*")) == before
    assert len(completed(stored, made)) == 3
    assert planned(stored, made, 1).status.done == 3


def test_records_without_checksums_are_read(stored):
    _, cell, record, _ = cell_files(stored)
    value = json.loads(record.read_bytes())
    del value["checksum"], value["with_influence"]
    record.write_text(json.dumps(value))
    assert stored_records(stored, [cell])[cell.hash].status == "done"
