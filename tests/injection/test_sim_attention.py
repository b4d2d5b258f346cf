import torch
from torch import nn

from ctrbench.injection.sim_attention import SimAttention
from ctrbench.settings import ModelSettings
from tests.injection.made import drawn, packed


def test_scale_and_shift_equal_the_three_terms(slots):
    mode, given = SimAttention(), drawn(slots)
    prepared = mode.prepare(given, slots, 0)
    batch = packed(slots, prepared)
    layers = nn.ModuleDict(mode.layers(prepared))
    g1, g2, g3, temperature = 0.7, -0.4, 0.2, 0.25
    numbers = torch.tensor([g1, g2, g3, temperature]).log()  # the last is stored as a logarithm
    with torch.no_grad():
        for weight, value in zip(layers["weights"], (g1, g2, g3, numbers[3]), strict=True):
            weight.fill_(value)
        scale, shift = mode.inject(layers, batch).attention
    logit = torch.randn(len(batch.history))
    score = batch.image_slot["score"] / temperature
    expected = g1 * logit + g2 * score + g3 * logit * score
    torch.testing.assert_close(scale * logit + shift, expected)
    assert {name: round(value, 6) for name, value in mode.report(layers).items()} == {
        "g1": g1,
        "g2": g2,
        "g3": g3,
        "temperature": temperature,
    }


def test_requires_softmax():
    assert SimAttention().problems(9, 4, ModelSettings(attention_weights="softmax")) == []
    assert "softmax" in SimAttention().problems(9, 4, ModelSettings())[0]
