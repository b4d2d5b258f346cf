import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from ctrbench.batches.packing import Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.errors import ContractError
from ctrbench.injection import Injected, Injection, Prepared
from ctrbench.injection.none import NoInjection
from ctrbench.models._blocks import Dice, Numbers, PairBlock
from ctrbench.models.din import DIN
from ctrbench.settings import ModelSettings

ROWS = np.arange(400, 440)
SMALL = ModelSettings(history_length=10, embedding_size=4, attention=(8, 4), top=(8, 4))


def build(slots, mode=None, settings=SMALL, prepared=None, seed=0):
    prepared = prepared or Prepared()
    packer = Packer(slots, settings, prepared.item, prepared.slot)
    probe = packer.pack(ROWS[:4], None)
    mode = mode or NoInjection()
    return DIN(packer.sizes, settings, mode, prepared, probe, seed), packer


class Everywhere(Injection):
    """A mode that returns every part of `Injected`."""

    wrong: str = ""

    def prepare(self, images, slots, seed):
        raise AssertionError

    def layers(self, prepared):
        return {"code": nn.Embedding(50, 3), "gate": nn.Linear(1, 2)}

    def inject(self, layers, batch):
        slot = torch.stack([batch.history, batch.target[batch.history_row]], dim=1).float()
        tier = torch.stack([batch.target, 2 * batch.target, batch.target + 1], dim=1).float()
        scale = torch.ones_like(batch.history, dtype=torch.float32)
        parts = {
            "item": layers["code"](batch.item_id),
            "slot": layers["gate"](slot[:, :1]),
            "target": tier,
            "attention": (2 * scale, scale),
        }
        if self.wrong == "rows":
            parts["slot"] = parts["slot"][:-1]
        if self.wrong == "nan":
            parts["target"] = parts["target"] / 0
        return Injected(**parts)


@pytest.mark.parametrize("weights", ["plain", "softmax"])
@pytest.mark.parametrize("activation", ["dice", "prelu"])
def test_logit_does_not_depend_on_other_rows(slots, weights, activation):
    settings = SMALL.model_copy(update={"attention_weights": weights, "activation": activation})
    model, packer = build(slots, None, settings)
    model.eval()
    together = model(packer.pack(ROWS, None))
    alone = torch.cat([model(packer.pack(ROWS[i : i + 1], None)) for i in range(len(ROWS))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_pair_block_equals_the_wide_input_in_value_and_gradient(slots):
    _, packer = build(slots)
    batch = packer.pack(ROWS, None)
    block = PairBlock(5, 7, seed=1, name="test")
    items = torch.randn(len(batch.item_id), 5, requires_grad=True)
    q, k = items[batch.target][batch.history_row], items[batch.history]
    plain = torch.cat([q, k, q - k, q * k], dim=1) @ block.weight.t()
    folded = block(items, batch)
    torch.testing.assert_close(folded, plain, rtol=1e-4, atol=1e-5)
    towards = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, [items, block.weight], towards)
    found = torch.autograd.grad(folded, [items, block.weight], towards)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_dice_equals_the_formula_of_the_paper():
    torch.manual_seed(0)
    dice, s = Dice(3), torch.randn(50, 3)
    nn.init.constant_(dice.alpha, 0.3)
    p = torch.sigmoid((s - s.mean(0)) / torch.sqrt(s.var(0, unbiased=False) + 1e-8))
    torch.testing.assert_close(dice(s), p * s + (1 - p) * 0.3 * s)


@pytest.mark.parametrize("weights", ["plain", "softmax", "uniform"])
def test_forward_equals_a_loop_over_impressions(slots, weights):
    """Return the baseline logits, one impression at a time, from the formulas."""
    settings = SMALL.model_copy(update={"attention_weights": weights, "activation": "prelu"})
    model, packer = build(slots, None, settings)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    batch = packer.pack(ROWS, None)
    items = model._items(batch)
    logits = []
    for row in range(len(ROWS)):
        q = items[batch.target[row]]
        pooled, scores, keys = torch.zeros_like(q), [], []
        for k in items[batch.history[batch.history_row == row]]:
            if weights != "uniform":
                hidden = model.attention_id.weight @ torch.cat([q, k, q - k, q * k])
                hidden = hidden + model.attention.bias
                scores.append(model.attention(hidden[None])[0])
            keys.append(k)
        if keys:
            a = torch.stack(scores) if scores else torch.full((len(keys),), 1 / len(keys))
            a = torch.softmax(a, 0) if weights == "softmax" else a
            pooled = (a[:, None] * torch.stack(keys)).sum(0)
        age = model.row_tables["of_age"](batch.row_codes["age"][row])
        numbers = (batch.row_numbers[row][:, None] * model.row_numbers.weight).flatten()
        wide = torch.cat([age, numbers, q, pooled])
        logits.append(model.top((model.top_id(wide) + model.top.bias)[None])[0])
    torch.testing.assert_close(model(batch), torch.stack(logits), rtol=1e-4, atol=1e-4)


def test_neutral_parts_leave_the_logits_of_the_baseline(slots, monkeypatch):
    model, packer = build(slots, Everywhere())
    baseline, _ = build(slots)
    own = Everywhere.inject
    neutral = lambda mode, layers, batch: own(mode, layers, batch).neutral()  # noqa: E731
    monkeypatch.setattr(Everywhere, "inject", neutral)
    batch = packer.pack(ROWS, None)
    assert torch.equal(model(batch), baseline(batch))


def test_field_may_have_any_name(slots):
    log = slots.impressions
    fields = [f.model_copy(update={"name": "type"}) for f in log.manifest.fields[:1]]
    manifest = log.manifest.model_copy(update={"fields": tuple(fields)})
    column = {"type": log.item_fields["colour"]}
    renamed = dataclasses.replace(
        log, manifest=manifest, item_fields=column, user_fields={}, context_fields={}
    )
    model, packer = build(HistorySlots(renamed, 10))
    assert torch.isfinite(model(packer.pack(ROWS, None))).all()


def test_attention_scale_and_shift_act_on_the_logit(slots):
    model, packer = build(slots, Everywhere())
    batch = packer.pack(ROWS, None)
    model.eval()
    items = model._items(batch)
    whole = model.mode.inject(model.image_layers, batch)
    plain = Injected(item=whole.item, slot=whole.slot, target=whole.target)
    expected = 2 * model._attention_weights(items, plain, batch) + 1
    torch.testing.assert_close(model._attention_weights(items, whole, batch), expected)


def test_wrong_number_of_rows_breaks_the_contract(slots):
    with pytest.raises(ContractError, match=r"Everywhere.inject .* slot of shape"):
        build(slots, Everywhere(wrong="rows"))


def test_infinite_numbers_break_the_contract(slots):
    with pytest.raises(ContractError, match=r"NaN .* target"):
        build(slots, Everywhere(wrong="nan"))


def test_starting_ids_fill_the_embedding(slots):
    class Start(NoInjection):
        def starting_ids(self, prepared, model):
            return np.full((41, model.embedding_size), 0.5, np.float32)

    model, _ = build(slots, Start())
    assert (model.id_embedding.weight == 0.5).all()


def test_batch_with_only_empty_histories(slots):
    model, packer = build(slots)
    rows = np.flatnonzero(slots.impressions.history_length == 0)[:3]
    assert len(rows) == 3
    model.train()
    assert torch.isfinite(model(packer.pack(rows, None))).all()


def test_numbers_start_as_small_as_ids_and_are_learned(slots):
    model, packer = build(slots)
    batch = packer.pack(ROWS, None)
    model.eval()
    for name in ("row_numbers", "item_numbers"):
        assert getattr(batch, name).shape[1]
        louder = dataclasses.replace(batch, **{name: getattr(batch, name) + 1})
        moved = (model(louder) - model(batch)).abs().max().item()
        assert 0 < moved < 10 * SMALL.embedding_std
    model(batch).sum().backward()
    for numbers in (model.row_numbers, model.item_numbers):
        assert (numbers.weight.grad != 0).any(dim=1).all()


def test_numbers_are_embedded_as_value_times_vector():
    numbers = Numbers(2, 3, 1.0, seed=0, name="row")
    values = torch.tensor([[2.0, -1.0], [0.0, 4.0]])
    one, two = numbers.weight
    expected = torch.stack([torch.cat([2 * one, -two]), torch.cat([0 * one, 4 * two])])
    assert torch.equal(numbers(values), expected)
