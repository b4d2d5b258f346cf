import multiprocessing
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrbench.errors import ConfigError
from ctrbench.injection import load_mode
from ctrbench.runner import memory
from ctrbench.runner.measure import user_influences
from ctrbench.runner.memory import CellMemory, expected_memory, require_memory
from ctrbench.runner.parts import build
from ctrbench.training import fit, optimizers
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix
from tests.impressions.logs import build_log, row

GIGABYTE = 10**9
LONG = """\
dataset: log
versions: none
seeds: [0]
repeat_baseline: false
model: {{backbone: {backbone}, history_length: {length}, transformer_width: 8}}
training: {{batch_size: 512}}
"""


def cell_of(workspace, mode, text=SMALL):
    return next(cell for cell in matrix(workspace, text).cells() if cell.mode == mode)


def trained_bytes(model, training):
    """Return the bytes of an optimiser after a step: weights, gradients and state."""
    chosen = optimizers(model, training)
    total = 0
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
        total += 2 * parameter.nbytes
    for optimizer in chosen:
        optimizer.step()
        total += sum(value.nbytes for state in optimizer.state for value in state.values())
    return total


@pytest.mark.parametrize("mode", ["none", "vector", "cluster_id"])
def test_estimate_equals_training_memory_without_history_layers(workspace, mode):
    large = "embedding_size: 512, attention_weights: uniform"
    text = SMALL.replace("embedding_size: 4", large).replace("256", "1")
    cell = cell_of(workspace, mode, text)
    parts = build(workspace, cell)
    held = trained_bytes(parts.model, parts.training)
    assert 0.75 * held < expected_memory(workspace, cell).tables <= held


def test_sparse_gradients_require_less_memory(workspace, monkeypatch):
    text = SMALL.replace("embedding_size: 4", "embedding_size: 1000")
    dense = expected_memory(workspace, cell_of(workspace, "none", text)).tables
    monkeypatch.setattr("ctrbench.settings.LARGE_TABLE", 60)  # 61 items and the unknown one
    items = matrix(workspace, text).dataset.counts["items"] + 1
    sparse = expected_memory(workspace, cell_of(workspace, "none", text)).tables
    assert dense - sparse == 4 * items * 1000


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("none", ("embedding_size: 4", "embedding_size: 4096")),
        ("none", ("field_embedding_size: 2", "field_embedding_size: 4096")),
        ("none", ("top: [8]", "top: [4096, 4096]")),
        ("vector", ("vector: {width: 4}", "vector: {width: 4096}")),
        ("hash_id", ("sim_score: {}", "hash_id: {codebook_size: 65536}")),
    ],
)
def test_cells_that_exceed_the_memory_are_named(workspace, monkeypatch, mode, change):
    small = matrix(workspace, SMALL.replace("sim_score: {}", "hash_id: {codebook_size: 64}"))
    large = matrix(workspace, SMALL.replace(*change))
    limit = 100_000 + max(expected_memory(workspace, cell).total for cell in small.cells())
    monkeypatch.setattr(memory, "machine_bytes", lambda: limit)
    require_memory(workspace, small.cells())
    with pytest.raises(ConfigError, match=r"0\.5 GB .*batch_size") as error:
        require_memory(workspace, large.cells())
    name = "Baseline" if mode == "none" else "oracle"
    assert f"{name} / {mode}: " in str(error.value)


def test_codes_of_a_combination_are_counted():
    mode = load_mode("vector+hash_id", {"vector.width": 3, "hash_id.codebook_size": 8})
    assert mode.learned(10) == 3 * 10 + 9 * 16


def test_training_on_another_device_requires_no_memory(workspace):
    cell = cell_of(workspace, "none", SMALL.replace("embedding_size: 4", "embedding_size: 4096"))
    training = {**cell.training, "device": "cuda"}
    elsewhere = cell.model_copy(update={"training": training})
    needed = expected_memory(workspace, elsewhere)
    assert needed.tables == needed.batch == 0


def _resident(name):
    """Return a line of the memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def memory_of_training(home, cells):
    """Return the peak bytes of each training beyond those before it; Linux only."""
    found = []
    for cell in cells:
        parts = build(Workspace(home), cell)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
        before = _resident("VmRSS")
        fit(parts.model, parts.packer, parts.training, 0, lambda _: None)
        found.append(_resident("VmHWM") - before)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "lengths"), [("din", (400, 800)), ("bst", (120, 250))])
def test_memory_of_histories_is_close_to_the_measured_one(workspace, backbone, lengths):
    users = [[str((user + place) % 37) for place in range(800)] for user in range(20)]
    rows = [row(n % 20, n % 37, n * 7 % 3 == 0, n, history=users[n % 20]) for n in range(2400)]
    build_log(workspace, rows)
    texts = [LONG.format(backbone=backbone, length=length) for length in (10, *lengths)]
    cells = [cell for text in texts for cell in matrix(workspace, text).cells()]
    # in a process of its own, since memory that other tests freed would be used again
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        measured = pool.submit(memory_of_training, workspace.home, cells).result()
    pairs = list(zip(cells, measured, strict=True))
    for cell, found in pairs[1:]:  # the first training also allocates what all of them share
        needed = expected_memory(workspace, cell)
        assert 0.7 * found < needed.tables + needed.batch < 1.15 * found


def test_measuring_requires_at_most_the_expected_memory(workspace):
    rng = np.random.default_rng(0)
    rows = [
        row(u, i, rng.random() < 0.5, n) for n, (u, i) in enumerate(rng.integers(0, 50, (9000, 2)))
    ]
    build_log(workspace, rows)
    (cell,) = matrix(workspace, LONG.format(backbone="din", length=10)).cells()
    slots = build(workspace, cell).slots
    test = slots.impressions.rows("test")
    p_click = rng.random(test.stop - test.start)
    user_influences(workspace, slots, p_click, ())  # what all calls share is loaded
    tracemalloc.start()
    user_influences(workspace, slots, p_click, ())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = expected_memory(workspace, cell).measuring
    assert 0.5 * expected < peak < expected + 500_000  # the sketches of pairs, at most


def test_processes_that_train_together_share_the_batch_and_one_measures():
    parts = {"log": 10, "preparing": 20, "tables": 100, "batch": 60, "measuring": 50}
    needed = CellMemory(**parts, libraries=1000)
    assert needed.together(1) == needed.total == 1000 + 10 + 100 + 60
    # batches of 20 each; the first process measures after the training
    assert needed.together(3) == 3 * (1000 + 10 + 100) + 50 + 20 + 20


def test_parts_of_a_cell_share_memory():
    needed = CellMemory(log=1, preparing=100, tables=20, batch=50, measuring=60, libraries=10)
    assert needed.total == 10 + 1 + 100
    assert replace(needed, preparing=5).total == 10 + 1 + 20 + 60
    assert needed.largest == "preparing"


@pytest.mark.parametrize(("limit", "fits"), [(230, 8), (110, 4), (90, 0)])
def test_largest_batch_that_fits_is_named(limit, fits):
    needed = CellMemory(log=0, preparing=0, tables=30, batch=1000, measuring=60, libraries=10)
    assert needed.fitting_batch(64, limit) == fits  # a row requires 15.6


def test_limit_of_a_container(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("max\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "none"))
    whole = memory.machine_bytes()
    assert whole > GIGABYTE // 4
    (tmp_path / "max").write_text("268435456\n")
    assert memory.machine_bytes() == 2**28
