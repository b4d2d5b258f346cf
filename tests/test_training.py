from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAUROC

from ctrbench import training
from ctrbench.errors import DivergedError
from ctrbench.settings import TableOptimizer, TrainingSettings
from ctrbench.training import _MiniBatchAwareL2, fit, predict
from tests.test_contracts import SETTINGS, build

QUIET = {"progress": lambda share: None}


@pytest.mark.parametrize("sparse", [False, True])
def test_l2_penalty_equals_the_sum_over_known_ids(sparse):
    table = torch.nn.Embedding(4, 3, sparse=sparse)
    item_id = torch.tensor([1, 0, 3, 0, 0])  # 0 is the unknown id; 3 has no count
    penalty = _MiniBatchAwareL2(table, np.array([7, 2, 5, 0]), strength=0.5)
    (3 * table(item_id)).sum().backward()
    penalty.add_gradient(item_id)
    weight = table.weight.detach().clone().requires_grad_()
    squares = weight.square().sum(dim=1)
    (3 * weight[item_id].sum() + 0.25 * (squares[1] / 2 + squares[3])).backward()
    torch.testing.assert_close(table.weight.grad.to_dense(), weight.grad)


@pytest.mark.parametrize("kind", get_args(TableOptimizer))
def test_every_parameter_is_trained_by_one_optimizer(slots, monkeypatch, kind):
    monkeypatch.setattr("ctrbench.settings.SMALL_TABLE", 20)
    monkeypatch.setattr("ctrbench.settings.LARGE_TABLE", 20)
    model, _ = build("vector", slots)
    found = training.optimizers(model, TrainingSettings(table_optimizer=kind))
    trained = [parameter for one in found for parameter in one.parameters]
    assert sorted(map(id, trained)) == sorted(map(id, model.parameters()))
    by_row = [table for table in model.tables() if table.sparse]
    assert len(found) == 2 + bool(by_row)  # one of them for the image block
    assert bool(by_row) == (kind != "adam")
    assert all(table.num_embeddings > 20 for table in by_row)


def test_auto_uses_adam_for_tables_of_ordinary_size(slots):
    model, _ = build("none", slots)
    assert len(training.optimizers(model, TrainingSettings())) == 1


def test_rows_without_impressions_do_not_change(slots, monkeypatch):
    monkeypatch.setattr("ctrbench.settings.SMALL_TABLE", 0)
    model, packer = build("none", slots)
    before = model.id_embedding.weight.detach().clone()
    settings = TrainingSettings(batch_size=64, table_optimizer="lazy_adam", id_dropout=0)
    fit(model, packer, settings, 0, **QUIET)
    moved = (model.id_embedding.weight != before).any(dim=1)
    np.testing.assert_array_equal(moved[1:].numpy(), packer.item_counts[1:] > 0)


def test_training_learns_a_planted_effect(slots):
    """Check that the loss of random clicks stays near log 2."""
    model, packer = build("none", slots)
    curve = fit(model, packer, TrainingSettings(batch_size=64), 0, **QUIET)
    assert curve[-1].impressions == 600
    assert abs(curve[-1].loss - np.log(2)) < 0.1


def test_curve_counts_every_impression_of_every_epoch(slots):
    model, packer = build("none", slots)
    curve = fit(model, packer, TrainingSettings(batch_size=100, epochs=2), 0, **QUIET)
    seen = [point.impressions for point in curve]
    assert seen == sorted(set(seen))
    assert seen[-1] == 1200


def test_curve_agrees_with_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    curve, loss, ranked = training._Curve(), MeanMetric(), BinaryAUROC(thresholds=None)
    for size in (64, 64, 17):
        logit = torch.randn(size, generator=generator).round(decimals=1)  # with ties
        click = (torch.rand(size, generator=generator) < logit.sigmoid()).float()
        of_batch = F.binary_cross_entropy_with_logits(logit, click)
        curve.add(of_batch, logit, SimpleNamespace(click=click))
        loss.update(of_batch, weight=size)
        ranked.update(logit.sigmoid(), click.int())
    curve.close(145)
    (point,) = curve.points
    assert point.loss == pytest.approx(float(loss.compute()), rel=1e-6)
    assert point.auc == pytest.approx(float(ranked.compute()), rel=1e-6)


def test_diverging_loss_is_an_error_with_a_remedy(slots):
    model, packer = build("none", slots)
    settings = TrainingSettings(batch_size=64).model_copy(update={"learning_rate": 1e30})
    with pytest.raises(
        DivergedError, match=r"within \d+ impressions; lower training.learning_rate"
    ):
        fit(model, packer, settings, 0, **QUIET)


def test_infinite_prediction_is_an_error(slots):
    model, packer = build("none", slots)
    torch.nn.init.constant_(model.top.bias, float("nan"))
    with pytest.raises(DivergedError, match="240 predictions are not finite"):
        predict(model, packer, "test", **QUIET)


def test_image_block_has_its_own_learning_rate(slots):
    model, packer = build("vector", slots)
    object.__setattr__(model.mode, "learning_rate_factor", 1e-6)
    before = [parameter.detach().clone() for parameter in model.image_parameters()]
    top = model.top_id.weight.detach().clone()
    fit(model, packer, TrainingSettings(batch_size=128), 0, **QUIET)
    assert (model.top_id.weight - top).abs().max() > 1e-4
    for old, new in zip(before, model.image_parameters(), strict=True):
        assert (old - new).abs().max() < 1e-6


def test_unknown_row_is_trained_by_dropout(slots):
    model, packer = build("none", slots)
    before = model.id_embedding.weight[0].detach().clone()
    fit(model, packer, TrainingSettings(batch_size=128, id_dropout=0.2), 0, **QUIET)
    assert not torch.equal(model.id_embedding.weight[0], before)


def test_averaged_weights_are_the_mean_over_the_end_of_training(slots):
    model, packer = build("vector", slots)
    kept = []

    def snapshot(share):
        if share > 0.75:
            kept.append({name: value.clone() for name, value in model.state_dict().items()})

    fit(model, packer, TrainingSettings(batch_size=30, weight_averaging=0.25), 0, snapshot)
    assert len(kept) == 5
    for name, value in model.state_dict().items():
        mean = torch.stack([state[name] for state in kept]).mean(dim=0)
        torch.testing.assert_close(value, mean, rtol=1e-5, atol=1e-7)
    assert not torch.equal(model.id_embedding.weight, kept[-1]["id_embedding.weight"])


@pytest.mark.parametrize("mode", ["none", "vector", "sim_score", "cluster_id"])
@pytest.mark.parametrize("backbone", ["din", "bst"])
def test_half_precision_changes_predictions_slightly(slots, mode, backbone):
    found = []
    for precision in ("float32", "bfloat16"):
        model, packer = build(
            mode, slots, settings=SETTINGS.model_copy(update={"backbone": backbone})
        )
        fit(model, packer, TrainingSettings(batch_size=64, precision=precision), 0, **QUIET)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        found.append(predict(model, packer, "test", **QUIET))
    assert 0 < np.abs(found[0] - found[1]).max() < 0.02
