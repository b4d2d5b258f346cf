"""ctrbench detects a planted effect in every mode, and none for a repeated baseline."""

import numpy as np
import pytest

from ctrbench import impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.matrix import read_matrix
from ctrbench.runner import run_matrix
from ctrbench.runner.states import planned
from ctrbench.stats import paired_delta
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world
from tests.benchmark import SMALL, write
from tests.benchmark import matrix as matrix_of
from tests.runner.test_run import Watcher

BENCHMARK = """\
dataset: taste
versions: [oracle]
modes:
  vector: {}
  sim_score: {}
  cluster_id: {codebook_size: 12}  # as many codes as the world has styles
seeds: [0, 1, 2, 3]
controls: [{kind: shuffled}]
training: {batch_size: 256, learning_rate: 2e-3}
"""


@pytest.mark.slow
def test_oracle_vectors_have_an_effect_and_a_repeated_baseline_has_none(tmp_path):
    write_world(WorldConfig("taste", strength=1.0), tmp_path)
    workspace = Workspace(tmp_path)
    matrix = read_matrix(write(tmp_path, BENCHMARK), workspace)
    records = run_matrix(workspace, matrix, 2, False, Watcher())

    def gauc(row, column):
        cells = {seed: matrix.cell(row, column, seed) for seed in matrix.file.seeds}
        return {seed: records[cell.hash].metrics["test"].gauc for seed, cell in cells.items()}

    oracle, shuffled = matrix.rows
    baseline = gauc(None, None)
    for column in matrix.columns:
        for reference in (baseline, gauc(shuffled, column)):
            delta = paired_delta(gauc(oracle, column), reference)
            assert delta is not None
            assert delta.mean_pp > 3 * delta.standard_error_pp > 0, column.label
    store = Store(workspace)
    cell = matrix.cell(None, None, 0)
    first = store.predictions(cell, "test")
    store.path(cell).unlink()
    again = run_matrix(workspace, matrix, 1, False, Watcher())
    assert np.array_equal(first, store.predictions(cell, "test"))
    assert paired_delta({0: again[cell.hash].metrics["test"].gauc}, baseline).mean_pp == 0


@pytest.mark.slow
def test_histories_of_a_thousand_items(tmp_path):
    write_world(WorldConfig("taste", users=2, items=60, impressions=22_000, seed=1), tmp_path)
    workspace = Workspace(tmp_path)
    text = SMALL.replace("history_length: 10", "history_length: 1000")
    matrix = matrix_of(workspace, text).narrowed(["oracle"], ["sim_score"], [0])
    log = impressions.open_impressions(workspace, "taste")
    assert log.history_length[log.rows("train")].max() > 1000
    assert HistorySlots(log, 1000).positions(np.arange(len(log.click)))[2].max() == 1000
    estimate = planned(workspace, matrix, 1).expected
    short = matrix_of(workspace, text.replace("history_length: 1000", "history_length: 10"))
    shorter = planned(workspace, short, 1).expected
    assert estimate is not None
    assert shorter is not None
    assert estimate.cell_seconds > 2 * shorter.cell_seconds
    records = run_matrix(workspace, matrix, 1, False, Watcher())
    assert {record.status for record in records.values()} == {"done"}
