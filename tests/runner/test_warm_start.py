"""All arms of a seed continue from one baseline."""

import numpy as np
import pytest
import torch

from ctrbench import impressions
from ctrbench.errors import ConfigError
from ctrbench.matrix import read_matrix
from ctrbench.runner import warm_start
from ctrbench.runner.cell import run_cell
from ctrbench.runner.warm_start import resume, warm_state
from ctrbench.settings import TrainingSettings
from ctrbench.training import fit, optimizers
from tests.benchmark import SMALL, matrix, write
from tests.test_contracts import build

WARM = TrainingSettings(batch_size=64, warm_start=0.5)
WARM_FILE = SMALL.replace("batch_size: 256", "batch_size: 256, warm_start: 0.4")
QUIET = lambda share: None  # noqa: E731


def learned(slots, settings=WARM):
    """Return a baseline of the tiny world, trained on the first part of `train`."""
    model, packer = build("none", slots)
    chosen = optimizers(model, settings)
    curve = fit(model, packer, settings, 0, QUIET, chosen, warming=True)
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in chosen],
    }
    return state, curve


def test_parts_divide_train(slots):
    _, first = learned(slots)
    model, packer = build("none", slots)
    rest = fit(model, packer, WARM, 0, QUIET)
    rows = slots.impressions.rows("train")
    assert first[-1].impressions == rest[-1].impressions == (rows.stop - rows.start) // 2


@pytest.mark.parametrize("kind", ["adam", "lazy_adam"])
def test_arm_starts_with_the_baselines_logits_and_optimiser(slots, kind, monkeypatch):
    monkeypatch.setattr("ctrbench.settings.SMALL_TABLE", 20)
    settings = WARM.model_copy(update={"table_optimizer": kind})
    state, _ = learned(slots, settings)
    (arm, packer), (baseline, _) = build("cluster_id", slots), build("none", slots)
    for model in (arm, baseline):
        chosen = optimizers(model, settings)
        resume(model, chosen, state)
        for optimizer, expected in zip(chosen, state["optimizers"], strict=False):
            found = optimizer.state_dict()
            assert found["steps"] == expected["steps"] > 0
            for one, other in zip(found["state"], expected["state"], strict=True):
                assert one.keys() == other.keys()
                assert all(torch.equal(one[name], other[name]) for name in one)
    own = type(arm.mode).inject
    neutral = lambda mode, layers, batch: own(mode, layers, batch).neutral()  # noqa: E731
    monkeypatch.setattr(type(arm.mode), "inject", neutral)
    arm.eval()
    baseline.eval()
    batch = packer.pack(np.arange(900, 960), None)
    assert torch.equal(arm(batch), baseline(batch))


def test_image_block_keeps_its_draws(slots):
    state, _ = learned(slots)
    model, _ = build("vector", slots)
    before = [parameter.detach().clone() for parameter in model.image_parameters()]
    resume(model, optimizers(model, WARM), state)
    for old, new in zip(before, model.image_parameters(), strict=True):
        assert torch.equal(old, new)


def test_cells_share_one_baseline(workspace, monkeypatch):
    trained = []
    own = warm_start._trained
    monkeypatch.setattr(warm_start, "_trained", lambda *given: trained.append(given) or own(*given))
    cells = matrix(workspace, WARM_FILE).cells()
    records = [run_cell(workspace, cell, (), {}, QUIET) for cell in cells]
    assert all(record.status == "done" for record in records), [r.reason for r in records]
    assert len(trained) == 1
    log = impressions.open_impressions(workspace, "taste")
    rows = log.rows("train")
    seen = {record.curve[-1].impressions for record in records}
    assert seen == {rows.stop - rows.start - round(0.4 * (rows.stop - rows.start))}


def test_interrupted_warm_start_leaves_no_partial_state(workspace, monkeypatch):
    cell = matrix(workspace, WARM_FILE).cell(None, None, 0)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            warm_state(workspace, cell)
    assert warm_state(workspace, cell)["model"]


def test_id_init_is_refused(workspace):
    text = WARM_FILE.replace("sim_score: {}", "id_init: {projection: random}")
    with pytest.raises(ConfigError, match=r"id_init .*training\.warm_start"):
        read_matrix(write(workspace.home, text), workspace)
