import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from ctrbench import embeddings, impressions
from ctrbench.atomic import write_json
from ctrbench.embeddings.readers import Source
from ctrbench.errors import ConfigError, DamagedError
from ctrbench.executors import Processes
from ctrbench.impressions import permuting
from ctrbench.impressions.columns import content_hash, derive, load
from ctrbench.injection.sim_score import SimScore
from ctrbench.runner import (
    changed_modes,
    complete,
    missing_cells,
    preparation,
    run_matrix,
    stored_records,
)
from ctrbench.runner import run as run_module
from ctrbench.runner.cell import run_cell
from ctrbench.runner.in_progress import cell_lock
from ctrbench.runner.workers import PRELOAD
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix, write


class Watcher:
    def __init__(self):
        self.records = []
        self.again = []

    def begin(self, what, cells, missing, impressions):
        assert 0 <= missing <= cells

    def progress(self, cell, share):
        assert 0 <= share <= 1

    def retried(self, cell, reason):
        self.again.append((cell, reason))

    def finished(self, record):
        self.records.append(record)


def run(workspace, text=SMALL, retry_failed=False):
    watcher = Watcher()
    records = run_matrix(workspace, matrix(workspace, text), 2, retry_failed, watcher)
    return records, watcher.records


def train(workspace, cell):
    record = run_cell(workspace, cell, (), {}, lambda share: None)
    assert record is not None
    assert record.status == "done", record.reason
    return record


def predictions(workspace, cell):
    return Store(workspace).predictions(cell, "test")


def test_imports_of_processes_begin_before_the_checks(workspace, monkeypatch):
    done = []

    def damaged(*_):
        done.append("check")
        raise DamagedError("damaged")

    monkeypatch.setattr(Processes, "prepare", lambda self, preload: done.append(preload))
    monkeypatch.setattr(run_module, "require_intact", damaged)
    with pytest.raises(DamagedError):
        run(workspace)
    assert done == [PRELOAD, "check"]


def test_without_missing_cells_nothing_is_imported(workspace, monkeypatch):
    monkeypatch.setattr(Processes, "prepare", lambda self, preload: pytest.fail("it began"))
    monkeypatch.setattr(run_module, "missing_cells", lambda *_: [])
    assert run(workspace) == ({}, [])


def test_run_trains_only_what_is_missing(workspace):
    records, trained = run(workspace)
    assert len(trained) == len(records) == 7
    assert all(record.status == "done" for record in trained)
    records, trained = run(workspace)
    assert (len(records), len(trained)) == (7, 0)
    added = SMALL.replace("[oracle, random]", "[oracle, random, noisy_0.5]")
    records, trained = run(workspace, added)
    assert len(records) == 10
    assert {record.cell.version for record in trained} == {"noisy_0.5"}


def test_a_forked_process_need_not_import_libraries(workspace):
    """A module that is missing from PRELOAD would be imported once per cell."""
    code = f"""if True:
        import sys
        from importlib import import_module
        from pathlib import Path
        from ctrbench.matrix import read_matrix
        from ctrbench.runner.cell import run_cell
        from ctrbench.runner.workers import PRELOAD
        from ctrbench.workspace import Workspace
        workspace = Workspace(Path({str(workspace.home)!r}))
        cells = list(read_matrix(Path({str(write(workspace.home))!r}), workspace).cells())[:4]
        for name in PRELOAD:
            import_module(name)
        before = set(sys.modules)
        for cell in cells:
            assert run_cell(workspace, cell, (), {{}}, lambda share: None).status == "done"
        print(*sorted(set(sys.modules) - before))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packages = {"torch._dynamo", "pandas", "pyarrow", "faiss", "sklearn", "scipy", "matplotlib"}
    assert packages.isdisjoint(done.stdout.split())


def test_repeated_baseline_is_identical(workspace):
    text = SMALL.replace("repeat_baseline: false\n", "")
    again = matrix(workspace, text).repeated()
    assert again is not None
    first = again.model_copy(update={"repeat": 0})
    assert again.hash != first.hash
    assert [cell.hash for cell in matrix(workspace, text).cells()][-1] == again.hash
    records = [train(workspace, cell) for cell in (first, again)]
    assert records[0].metrics == records[1].metrics
    assert np.array_equal(predictions(workspace, first), predictions(workspace, again))
    assert matrix(workspace).repeated() is None


def test_record_is_complete(workspace):
    cell = list(matrix(workspace).cells())[3]
    record = train(workspace, cell)
    assert record.hash == cell.hash
    assert cell.mode == "cluster_id"
    assert set(record.metrics) == {"valid", "test"}
    assert {"codes_used", "coverage_items", "coverage_targets"} <= set(record.facts)
    assert record.curve[-1].impressions == 2000
    assert record.peak_memory_bytes > 1e8
    assert record.parameters > 0
    assert {"prepare", "train", "predict"} <= set(record.seconds)


def test_a_cell_trained_twice_predicts_the_same(workspace, made_workspace, tmp_path):
    for cell in matrix(workspace).cells():
        train(workspace, cell)
        first = predictions(workspace, cell)
        Store(workspace).path(cell).unlink()
        train(workspace, cell)
        assert np.array_equal(first, predictions(workspace, cell)), cell.label


def test_order_of_rows_in_the_vector_file_has_no_effect(workspace, tmp_path):
    table = embeddings.open_version(workspace, "taste", "oracle")
    raw = np.array(impressions.raw_item_ids(workspace, "taste"))
    items = np.flatnonzero(table.has_vector)
    order = np.random.default_rng(0).permutation(items)
    log = impressions.open_impressions(workspace, "taste")
    hashes = []
    for name, chosen in (("plain", items), ("permuted", order)):
        np.savez(tmp_path / f"{name}.npz", key=raw[chosen - 1], value=table.vectors[chosen])
        source = Source(tmp_path / f"{name}.npz")
        made, _ = embeddings.add_version(workspace, log, list(raw), name, source)
        hashes.append(made.content_hash)
    assert hashes[0] == hashes[1]
    text = SMALL.replace("[oracle, random]", "[plain, permuted]")
    cells = [cell for cell in matrix(workspace, text).cells() if cell.mode == "cluster_id"]
    for cell in cells:
        train(workspace, cell)
    assert np.array_equal(*(predictions(workspace, cell) for cell in cells))


def test_diverged_cell_is_stored_as_failed_and_others_continue(workspace):
    text = SMALL.replace("vector: {width: 4}", "vector: {learning_rate_factor: 1e9}")
    records, trained = run(workspace, text)
    failed = [record for record in records.values() if record.status == "failed"]
    assert {record.cell.mode for record in failed} == {"vector"}
    assert "lower training.learning_rate" in failed[0].reason
    assert len(trained) == 7
    assert run(workspace, text)[1] == []
    assert len(run(workspace, text, retry_failed=True)[1]) == len(failed)


def test_cell_locked_by_another_process_is_skipped(workspace):
    cell = next(iter(matrix(workspace).cells()))
    with cell_lock(workspace, cell):
        assert run_cell(workspace, cell, (), {}, lambda share: None) is None
    assert Store(workspace).read(cell) is None


def test_stored_cell_is_not_trained_again(workspace):
    cell = next(iter(matrix(workspace).cells()))
    record = train(workspace, cell)
    again = run_cell(workspace, cell, (), {"other": "environment"}, lambda share: None)
    assert again == record


def test_new_slice_is_measured_from_stored_predictions(workspace):
    text = SMALL.replace("[oracle, random]", "[oracle]")
    run(workspace, text)
    sliced = text + "slices: [{history_below: 3}, {unseen_items: true}]\n"
    records, trained = run(workspace, sliced)
    assert trained == []
    for record in records.values():
        log = impressions.open_impressions(workspace, "taste")
        short = log.history_length[log.rows("test")] < 3
        assert record.slices["history_below=3"].impressions == short.sum()
        assert "unseen_items" in record.slices


def test_stored_predictions_of_other_impressions_are_an_error(workspace):
    made = matrix(workspace)
    cell = next(iter(made.cells()))
    train(workspace, cell)
    path = Store(workspace).path(cell)
    pq.write_table(pq.read_table(path.with_suffix(".parquet"))[:-1], path.with_suffix(".parquet"))
    path.with_suffix(".users.npz").unlink()
    records = stored_records(workspace, [cell])
    (record,) = complete(workspace, made, records).values()
    assert record.status == "failed"
    assert "covers 799 impressions of test instead of 800" in record.reason


def test_missing_and_stored_cells(workspace):
    cells = list(matrix(workspace).cells())
    train(workspace, cells[0])
    assert missing_cells(workspace, cells) == cells[1:]
    assert list(stored_records(workspace, cells)) == [cells[0].hash]


def test_seeds_differ_in_result_and_codebook(workspace):
    text = SMALL.replace("seeds: [0]", "seeds: [0, 1]")
    cells = [c for c in matrix(workspace, text).cells() if c.mode in ("none", "cluster_id")]
    for cell in cells:
        train(workspace, cell)
    first, second = cells[0], cells[3]
    assert (first.seed, second.seed) == (0, 1)
    assert not np.array_equal(predictions(workspace, first), predictions(workspace, second))
    assert len(list((workspace.cache / "prepared").rglob("item.code.npy"))) == 4


@pytest.mark.parametrize("mode", ["vector", "sim_score", "cluster_id"])
def test_random_vectors_are_not_the_baseline(workspace, mode):
    cells = {c.mode: c for c in matrix(workspace).cells() if c.version in (None, "random")}
    train(workspace, cells["none"])
    train(workspace, cells[mode])
    assert not np.array_equal(
        predictions(workspace, cells["none"]), predictions(workspace, cells[mode])
    )


def test_an_edited_mode_is_prepared_again_and_reported(workspace, monkeypatch):
    text = SMALL.replace("seeds: [0]", "seeds: [0, 1]")
    made, records = matrix(workspace, text), {}
    first, second = (c for c in made.cells() if (c.version, c.mode) == ("oracle", "sim_score"))
    records[first.hash] = train(workspace, first)
    assert changed_modes(made, records) == {}
    for module in (preparation, run_module):
        monkeypatch.setattr(module, "code_hash", lambda mode: "another text")
    assert changed_modes(made, records) == {"sim_score": 1}
    prepared = []
    own = SimScore.prepare
    monkeypatch.setattr(SimScore, "prepare", lambda *given: prepared.append(given) or own(*given))
    train(workspace, second)  # the same arrays except for the text
    assert len(prepared) == 1


@pytest.fixture
def with_label(workspace):
    """The workspace, whose log has the label `bought`: every second click."""
    folder = workspace.data / "taste"
    table = pq.read_table(folder / "impressions.parquet")
    bought = np.asarray(table["click"]) * (np.arange(table.num_rows) % 2).astype(np.int8)
    table = table.append_column("_label_bought", [bought])
    pq.write_table(table, folder / "impressions.parquet")
    manifest = impressions.read_manifest(workspace, "taste")
    manifest = manifest.model_copy(update={"labels": ("bought",)})
    arrays = workspace.cache / "arrays"
    arrays.mkdir(parents=True)
    derive(folder, arrays)
    changed = {"content_hash": content_hash(folder, load(arrays), manifest)}
    write_json(
        folder / "manifest.json", manifest.model_copy(update=changed).model_dump(mode="json")
    )
    return workspace


def test_a_benchmark_file_chooses_the_label(with_label):
    text = SMALL.replace("versions: [oracle, random]", "label: bought\nversions: [oracle]")
    text = text.replace("  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", "")
    records, _ = run(with_label, text)
    clicks = impressions.open_impressions(with_label, "taste")
    log = impressions.open_impressions(with_label, "taste", "bought")
    assert log.manifest.outcome == "bought"
    assert log.p_true is None
    assert len(records) == 2
    for record in records.values():
        assert record.cell.outcome == "bought"
        assert record.cell.data_hash != clicks.manifest.content_hash
        assert record.metrics["test"].clicks == log.click[log.rows("test")].sum() > 0
    summary = Store(with_label).read_summary("taste", "bought")
    assert summary.manifest.label == "bought = 1"
    assert not permuting.inputs_follow_outcomes(log)
    other = matrix(with_label, text.replace("label: bought\n", ""))
    assert not {cell.hash for cell in other.cells()} & records.keys()
    with pytest.raises(ConfigError, match=r"label.*'bougt'.*'bought'"):
        matrix(with_label, text.replace("label: bought", "label: bougt"))
