from pathlib import Path

import pytest
import torch

from ctrbench.errors import ConfigError
from ctrbench.injection import load_mode
from ctrbench.runner import memory
from ctrbench.runner.memory import LIBRARIES_BYTES, expected_bytes, require_memory
from ctrbench.runner.parts import build
from ctrbench.training import fit, optimizers
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
        total += sum(
            value.nbytes
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor) and value.ndim
        )
    return total


@pytest.mark.parametrize("mode", ["none", "vector", "cluster_id"])
def test_estimate_equals_training_memory_without_history_layers(workspace, mode):
    large = "embedding_size: 512, attention_weights: uniform"
    text = SMALL.replace("embedding_size: 4", large).replace("256", "1")
    cell = cell_of(workspace, mode, text)
    parts = build(workspace, cell)
    held = trained_bytes(parts.model, parts.training)
    assert 0.75 * held < expected_bytes(workspace, cell) - LIBRARIES_BYTES <= held + 100_000


def test_sparse_gradients_require_less_memory(workspace, monkeypatch):
    text = SMALL.replace("embedding_size: 4", "embedding_size: 1000")
    dense = expected_bytes(workspace, cell_of(workspace, "none", text))
    monkeypatch.setattr("ctrbench.settings.LARGE_TABLE", 60)  # 61 items and the unknown one
    items = matrix(workspace, text).dataset.counts["items"] + 1
    assert dense - expected_bytes(workspace, cell_of(workspace, "none", text)) == 4 * items * 1000


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
    limit = 100_000 + max(expected_bytes(workspace, cell) for cell in small.cells())
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
    assert expected_bytes(workspace, elsewhere) == LIBRARIES_BYTES


def _resident(name):
    """Return a line of the memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def memory_of_training(workspace, cell):
    """Return the peak bytes of a training beyond those before it; Linux only."""
    parts = build(workspace, cell)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = _resident("VmRSS")
    fit(parts.model, parts.packer, parts.training, 0, lambda _: None)
    return _resident("VmHWM") - before


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "lengths"), [("din", (400, 800)), ("bst", (120, 250))])
def test_memory_of_histories_is_close_to_the_measured_one(workspace, backbone, lengths):
    users = [[str((user + place) % 37) for place in range(800)] for user in range(20)]
    rows = [row(n % 20, n % 37, n * 7 % 3 == 0, n, history=users[n % 20]) for n in range(2400)]
    build_log(workspace, rows)
    for length in (10, *lengths):  # the first training also allocates what all of them share
        text = LONG.format(backbone=backbone, length=length)
        (cell,) = matrix(workspace, text).cells()
        measured = memory_of_training(workspace, cell)
        expected = expected_bytes(workspace, cell) - LIBRARIES_BYTES
        assert length == 10 or 0.7 * measured < expected < 1.15 * measured


def test_limit_of_a_container(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("max\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "max", tmp_path / "none"))
    whole = memory.machine_bytes()
    assert whole > GIGABYTE // 4
    (tmp_path / "max").write_text("268435456\n")
    assert memory.machine_bytes() == 2**28
