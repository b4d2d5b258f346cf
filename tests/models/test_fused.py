"""The fast way against the plain one: outputs, every gradient, moving statistics."""

import copy
import dataclasses

import pytest
import torch

from ctrbench.impressions.slots import HistorySlots
from ctrbench.models import _fused
from ctrbench.settings import ModelSettings
from tests.models.test_din import ROWS, SMALL, Everywhere, build


def doubled(part):
    if isinstance(part, dict):
        return {key: doubled(inner) for key, inner in part.items()}
    return part.double() if isinstance(part, torch.Tensor) and part.is_floating_point() else part


def in_double(batch):
    """So that rounding cannot hide a wrong term."""
    return dataclasses.replace(
        batch, **{f.name: doubled(getattr(batch, f.name)) for f in dataclasses.fields(batch)}
    )


class Doubled(Everywhere):
    """All parts of the contract, in the precision of its layers."""

    def inject(self, layers, batch):
        injected = super().inject(layers.float(), batch)
        layers.double()
        parts = {name: getattr(injected, name) for name in ("slot", "target")}
        item = layers["code"](batch.item_id)
        slot = layers["gate"](parts["slot"][:, :1].double().detach())
        scale, shift = (part.double() for part in injected.attention)
        return dataclasses.replace(
            injected,
            item=item,
            slot=slot,
            target=parts["target"].double(),
            attention=(scale, shift),
        )


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(_fused, "GROUP_SLOTS", 7)


def both_ways(model, batch):
    """The same model twice; logits and gradients of a loss that no slot is indifferent to."""
    models = model.double(), copy.deepcopy(model).double()
    models[1].fused = False
    factor = torch.linspace(0.3, 2, len(batch.target), dtype=torch.float64)
    logits = [one(batch) for one in models]
    for logit in logits:
        (torch.sin(3 * logit) * factor).sum().backward()
    return models, logits


@pytest.mark.parametrize("attention", [(8,), (8, 4), (6, 8, 4)])
@pytest.mark.parametrize("weights", ["plain", "softmax"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", [None, Doubled()])
def test_outputs_and_gradients_equal_the_plain_ones(
    slots, small_groups, attention, weights, training, mode
):
    changed = {"attention": attention, "attention_weights": weights, "embedding_std": 1.0}
    model, packer = build(slots, mode, SMALL.model_copy(update=changed))
    for name, parameter in model.named_parameters():
        if name.endswith("alpha"):
            torch.nn.init.uniform_(parameter, -0.5, 0.5)
    batch = in_double(packer.pack(ROWS, None))
    model.train(training)
    (fast, plain), logits = both_ways(model, batch)
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-10, atol=1e-10)
    for (name, one), other in zip(fast.named_parameters(), plain.parameters(), strict=True):
        message = f"{name}: {{}}".format
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-9, msg=message)
    for one, other in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_fast_way_is_gone(slots, monkeypatch):
    """Or the test above compares the plain way with itself."""
    gone = []
    original = _fused._AttentionUnit.forward

    def forward(*arguments):
        gone.append(True)
        return original(*arguments)

    monkeypatch.setattr(_fused._AttentionUnit, "forward", staticmethod(forward))
    model, packer = build(slots)
    model(packer.pack(ROWS, None))
    assert gone
    model.fused = False
    model(packer.pack(ROWS, None))
    assert len(gone) == 1


def test_items_and_impressions_without_slots_have_no_gradient(slots):
    """A batch with empty histories among others, and targets that nobody clicked before."""
    length = slots.impressions.history_length.copy()
    length[ROWS[::3]] = 0
    log = dataclasses.replace(slots.impressions, history_length=length)
    settings = ModelSettings(history_length=3, embedding_std=1.0)
    model, packer = build(HistorySlots(log, 3), settings=settings)
    batch = in_double(packer.pack(ROWS, None))
    assert (torch.diff(batch.history_start) == 0).any()
    assert (torch.diff(batch.item_start) == 0).any()
    (fast, plain), logits = both_ways(model, batch)
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        fast.id_embedding.weight.grad, plain.id_embedding.weight.grad, rtol=1e-8, atol=1e-9
    )


def test_slots_by_item_are_those_of_the_item(slots):
    _, packer = build(slots)
    batch = packer.pack(ROWS, None)
    for item in range(len(batch.item_id)):
        own = batch.by_item[batch.item_start[item] : batch.item_start[item + 1]]
        assert own.tolist() == torch.nonzero(batch.history == item).squeeze(1).tolist()
    for row in range(len(ROWS)):
        own = slice(batch.history_start[row], batch.history_start[row + 1])
        assert (batch.history_row[own] == row).all()
    assert batch.history_start[-1] == len(batch.history)
