"""Compiled loops against torch in double precision: outputs, gradients, moving statistics."""

import copy
import dataclasses

import pytest
import torch

from ctrbench.batches.slots import HistorySlots
from ctrbench.injection import Injected, Injection
from ctrbench.loops import _loading
from ctrbench.models import _fused
from ctrbench.settings import ModelSettings
from tests.models.test_din import ROWS, SMALL, Everywhere, build

pytestmark = pytest.mark.skipif(
    _loading.load_loops() is None, reason="the compiled loops were not built: no C compiler"
)


def doubled(part):
    if isinstance(part, dict):
        return {key: doubled(inner) for key, inner in part.items()}
    return part.double() if isinstance(part, torch.Tensor) and part.is_floating_point() else part


def in_double(batch):
    """Return the batch in double precision, so that rounding does not mask a wrong term."""
    parts = {f.name: doubled(getattr(batch, f.name)) for f in dataclasses.fields(batch)}
    return dataclasses.replace(batch, **parts)


class Anywhere(Everywhere):
    """A mode that returns every part of `Injected`, in the precision of the layers."""

    def inject(self, layers, batch):
        like = {"dtype": layers["gate"].weight.dtype}
        slots, rows = len(batch.history), len(batch.target)
        scale = torch.linspace(0.5, 2, slots, **like)
        return Injected(
            item=layers["code"](batch.item_id),
            slot=layers["gate"](torch.linspace(-1, 1, slots, **like)[:, None]),
            target=torch.linspace(-2, 1, 3 * rows, **like).reshape(rows, 3),
            attention=(scale, scale - 1),
        )


def all_implementations(model, batch):
    """Return models and logits: compiled, in double precision, and in single precision."""
    fast, exact, rounded = copy.deepcopy(model), copy.deepcopy(model).double(), copy.deepcopy(model)
    factor = torch.linspace(0.3, 2, len(batch.target))
    logits = [fast(batch), exact(in_double(batch))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_loading, "load_loops", lambda: None)
        logits.append(rounded(batch))
    for logit in logits:
        (torch.sin(3 * logit) * factor).sum().backward()
    return fast, exact, rounded, logits


def assert_close(fast, exact, rounded, logits):
    """Check equality within the error of single precision."""
    torch.testing.assert_close(logits[0].double(), logits[1], rtol=1e-4, atol=1e-5)
    gradients = [
        {name: one.grad.double() for name, one in model.named_parameters()}
        for model in (fast, exact, rounded)
    ]
    cost = max((gradients[2][name] - one).abs().max() for name, one in gradients[1].items())
    for name, one in gradients[1].items():
        atol = 1e-4 * (one.abs().max().item() + 0.02) + 2 * cost.item()
        message = f"{name}: {{}}".format
        torch.testing.assert_close(gradients[0][name], one, rtol=0, atol=atol, msg=message)
    for one, other in zip(fast.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attention", [(8,), (8, 4), (6, 17, 4)])
@pytest.mark.parametrize("weights", ["plain", "softmax"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", [None, Anywhere()])
@pytest.mark.parametrize("rows", [ROWS[:3], ROWS])
def test_outputs_and_gradients_equal_the_plain_ones(
    slots, attention, weights, training, mode: Injection | None, rows
):
    changed = {"attention": attention, "attention_weights": weights, "embedding_std": 1.0}
    model, packer = build(slots, mode, SMALL.model_copy(update=changed))
    for name, parameter in model.named_parameters():
        if name.endswith(("alpha", "bias")):
            torch.nn.init.uniform_(parameter, -0.5, 0.5)
    model.train(training)
    batch = packer.pack(rows, None)
    assert (len(batch.history) > 3 * _fused.BLOCK_ROWS) == (rows is ROWS)
    assert_close(*all_implementations(model, batch))


def test_compiled_loops_are_used(slots, monkeypatch):
    """Check that the previous test does not compare the torch implementation with itself."""
    called = []
    original = _loading.run_loop
    monkeypatch.setattr(
        _fused, "run_loop", lambda name, *a: called.append(name) or original(name, *a)
    )
    model, packer = build(slots)
    model(packer.pack(ROWS, None)).sum().backward()
    assert set(called) == {
        *("pair_forward", "pair_backward", "pool_forward", "pool_backward"),
        "add_rows",
        *("moments", "dice_forward", "dice_backward", "dice_finish"),
    }
    called.clear()
    monkeypatch.setattr(_loading, "load_loops", lambda: None)
    model(packer.pack(ROWS, None)).sum().backward()
    assert called == []


def test_impressions_and_items_without_slots(slots):
    length = slots.impressions.history_length.copy()
    length[ROWS[::3]] = 0
    log = dataclasses.replace(slots.impressions, history_length=length)
    settings = ModelSettings(history_length=3, embedding_std=1.0)
    model, packer = build(HistorySlots(log, 3), settings=settings)
    assert_close(*all_implementations(model, packer.pack(ROWS, None)))


class Strided(Everywhere):
    """A mode that returns tensors that are not contiguous."""

    def inject(self, layers, batch):
        item = layers["code"](batch.item_id).t().contiguous().t()
        ones = torch.ones(1).expand(len(batch.history))
        return Injected(item=item, attention=(ones, ones))


def test_mode_may_return_any_memory_layout(slots, monkeypatch):
    model, packer = build(slots, Strided())
    batch = packer.pack(ROWS, None)
    item = Strided().inject(model.image_layers, batch).item
    assert item is not None
    assert not item.is_contiguous()
    fast = model(batch)
    fast.sum().backward()
    monkeypatch.setattr(_loading, "load_loops", lambda: None)
    torch.testing.assert_close(fast, model(batch), rtol=1e-4, atol=1e-5)


def test_half_precision_uses_the_torch_implementation(slots, monkeypatch):
    model, packer = build(slots)
    batch = packer.pack(ROWS, None)
    with torch.autocast("cpu", torch.bfloat16):
        given = model(batch)
        monkeypatch.setattr(_loading, "load_loops", lambda: None)
        torch.testing.assert_close(given, model(batch))


def test_sigmoid_of_extreme_numbers():
    """Check Dice for extreme inputs, without batch statistics."""
    values = torch.cat([torch.linspace(-120, 120, 20_001), torch.tensor([0.0, 1e30, -1e30])])
    summed = values[:, None].contiguous()
    zero, one, out = torch.zeros(1), torch.ones(1), torch.empty_like(summed)
    inputs = summed, zero, one, zero, one, zero, torch.empty(_fused.BLOCK_ROWS, 1)
    _loading.run_loop("dice_forward", *summed.shape, 1, *inputs, out)
    expected, near = torch.sigmoid(summed.double()) * summed, summed > -1e30
    torch.testing.assert_close(out.double()[near], expected[near], rtol=4e-7, atol=1e-30)
    assert out[~near].abs() < 1e-4  # 1e30 e^-80


def test_variance_of_sums_far_from_zero():
    summed = torch.randn(10_000, 3, dtype=torch.float64) + torch.tensor([0.0, 300, -3_000])
    mean, variance = _fused._moments(summed.float())
    torch.testing.assert_close(mean.double(), summed.mean(dim=0), rtol=1e-5, atol=1e-5)
    expected = summed.float().double().var(dim=0, correction=0)
    torch.testing.assert_close(variance.double(), expected, rtol=1e-4, atol=0)


def test_nan_propagates(slots):
    """Check that NaN propagates, although the loops are compiled for finite numbers."""
    model, packer = build(slots)
    with torch.no_grad():
        model.id_embedding.weight[:] = torch.nan
    assert model(packer.pack(ROWS, None)).isnan().all()
