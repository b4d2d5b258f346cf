"""Trainings on a GPU equal those on the CPU up to rounding; skipped where there is no GPU."""

import numpy as np
import pytest
import torch

from ctrbench import plugins
from ctrbench.distributed import BatchNorm
from ctrbench.executors import Processes
from ctrbench.models import backbone_names
from ctrbench.pretraining.methods import configured
from ctrbench.runner import run_cells
from ctrbench.runner.cell import run_cell
from ctrbench.runner.run import SILENT
from ctrbench.serving import export, load
from ctrbench.settings import TrainingSettings
from ctrbench.store import Store
from ctrbench.training import fit, predict
from tests.benchmark import SMALL, matrix
from tests.pretraining.made import SMALL as PRETRAINING
from tests.pretraining.made import pixels, trained
from tests.test_contracts import BACKBONES, MODES, build

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
ON_GPU = SMALL.replace("batch_size: 256", "batch_size: 256, device: cuda")
ROUNDING = 1e-3  # of probabilities; Adam enlarges the rounding of small gradients


def quiet(share):
    pass


def predicted(name, slots, device, settings=None, training=None):
    """Return what a model of the tiny log predicts after its training on a device."""
    model, packer = build(name, slots, settings=settings or BACKBONES["din"])
    chosen = TrainingSettings(**{"batch_size": 64, "learning_rate": 0.01} | (training or {}))
    fit(model.to(device), packer, chosen, 0, quiet)
    return predict(model, packer, "test", quiet)


def require_equal(found, other, rounding=ROUNDING):
    assert np.abs(found - other).max() < rounding
    assert found.std() > 5 * ROUNDING  # more than rounding distinguishes the impressions


@pytest.mark.parametrize("name", ["none", *MODES])
def test_modes(name, slots):
    require_equal(*(predicted(name, slots, device) for device in ("cpu", "cuda")))


@pytest.mark.parametrize("name", backbone_names())
def test_backbones(name, slots):
    require_equal(*(predicted("vector", slots, one, BACKBONES[name]) for one in ("cpu", "cuda")))


@pytest.mark.parametrize(
    "training",
    [
        {"table_optimizer": "lazy_adam"},
        {"table_optimizer": "rowwise_adagrad"},
        {"weight_averaging": 0.3},
        {"warm_start": 0.5},
    ],
)
def test_trainings(training, slots, monkeypatch):
    monkeypatch.setattr("ctrbench.settings.SMALL_TABLE", 20)
    arms = [predicted("vector", slots, one, training=training) for one in ("cpu", "cuda")]
    require_equal(*arms)


def test_half_precision(slots):
    half = {"precision": "bfloat16"}
    found = predicted("vector", slots, "cuda", training=half)
    full = predicted("vector", slots, "cuda")
    assert (found != full).any()
    require_equal(found, full, rounding=0.01)


def test_cells_of_several_processes_share_the_gpu(workspace):
    aucs = {}
    for text in (SMALL, ON_GPU):
        cells = list(matrix(workspace, text).cells())
        run_cells(workspace, cells, (), Processes(3), SILENT)
        records = [Store(workspace).read(cell) for cell in cells]
        assert [record.status for record in records] == ["done"] * len(cells)
        aucs[text] = [record.metrics["test"].value("auc") for record in records]
    assert len(set(aucs[SMALL])) > 3
    assert aucs[ON_GPU] == pytest.approx(aucs[SMALL], abs=ROUNDING)


def test_exported_model_predicts_on_the_cpu(workspace, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install 'ctrbench[onnx]'")
    made = matrix(workspace, ON_GPU)
    for cell in made.cells():
        record = run_cell(workspace, cell, (), {}, quiet, keep_model=True)
        assert record.status == "done", record.reason
    export(workspace, "taste/oracle/sim_score", tmp_path / "folder")  # compares predictions
    state = load(tmp_path / "folder").model.state_dict().values()
    assert {one.device.type for one in state} == {"cpu"}


@pytest.mark.parametrize("name", plugins.names("ctrbench.pretraining.methods"))
def test_pretraining(name, tmp_path):
    source = pixels() if configured(name, {}).augmented else None  # without dropout
    losses = {}
    for device, precision in (("cpu", "float32"), ("cuda", "float32"), ("cuda", "float16")):
        settings = PRETRAINING.model_copy(update={"device": device, "precision": precision})
        found = trained(tmp_path / device / precision, name, source, settings)
        losses[device, precision] = [point["loss"] for point in found.curve]
    has_norms = any(isinstance(one, BatchNorm) for one in found.layers.modules())
    full, half = losses["cuda", "float32"], losses["cuda", "float16"]
    equal = 1 if has_norms else len(full)  # norms over 16 images enlarge rounding
    assert full[:equal] == pytest.approx(losses["cpu", "float32"][:equal], rel=0.01)
    assert half[0] == pytest.approx(full[0], rel=0.05)
    assert half != full
