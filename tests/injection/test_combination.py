import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from ctrbench.errors import ConfigError
from ctrbench.injection import load_mode
from tests.injection.made import drawn, packed

BOTH = "sim_score+sim_tier+cluster_id"
SETTINGS = {"cluster_id.codebook_size": 5, "sim_tier.tiers": 3, "learning_rate_factor": 2.0}


def test_parts_inject_the_same_as_alone(slots):
    mode, given = load_mode(BOTH, SETTINGS), drawn(slots)
    prepared = mode.prepare(given, slots, 0)
    batch = packed(slots, prepared)
    layers = nn.ModuleDict(mode.layers(prepared))
    whole = mode.inject(layers, batch)
    for name, part in mode.parts.items():
        own = part.prepare(given, slots, 0)
        alone = part.inject(layers[name], packed(slots, own))
        for kind in ("item", "slot", "target"):
            if getattr(alone, kind) is not None:
                torch.testing.assert_close(getattr(whole, kind), getattr(alone, kind))


def test_attention_changes_are_composed(slots, monkeypatch):
    mode, given = load_mode("sim_attention+sim_score", {}), drawn(slots)
    other = mode.parts["sim_score"]
    own = type(other).inject

    def inject(part, layers, batch):
        shift = torch.full((len(batch.history),), 3.0)
        return dataclasses.replace(own(part, layers, batch), attention=(2 + 0 * shift, shift))

    monkeypatch.setattr(type(other), "inject", inject)
    prepared = mode.prepare(given, slots, 0)
    batch, layers = packed(slots, prepared), nn.ModuleDict(mode.layers(prepared))
    scale, shift = mode.inject(layers, batch).attention
    alone = mode.parts["sim_attention"]
    first = alone.inject(layers["sim_attention"], packed(slots, alone.prepare(given, slots, 0)))
    torch.testing.assert_close(scale, 2 * first.attention[0])
    torch.testing.assert_close(shift, 2 * first.attention[1] + 3)


def test_settings_are_restored_from_a_stored_cell():
    mode = load_mode(BOTH, SETTINGS)
    stored = mode.model_dump(mode="json", exclude_defaults=True)
    assert stored == SETTINGS
    assert load_mode(BOTH, stored) == mode
    assert mode.model_dump(mode="json")["sim_tier.counts"] == "log"
    assert mode.seeded
    assert not load_mode("sim_score+sim_tier", {}).seeded


def test_report_and_facts_have_the_names_of_the_parts(slots):
    mode = load_mode("cluster_id+sim_attention", {"cluster_id.codebook_size": 5})
    prepared = mode.prepare(drawn(slots), slots, 0)
    assert prepared.facts["cluster_id.codes_used"] == 1.0
    layers = nn.ModuleDict(mode.layers(prepared))
    assert mode.report(layers)["sim_attention.g1"] == 1.0


def test_starting_ids_are_passed_on(slots):
    from ctrbench.settings import ModelSettings

    given = drawn(slots, width=20)
    one, two = load_mode("id_init", {}), load_mode("sim_score+id_init", {})
    expected, found = (
        mode.starting_ids(mode.prepare(given, slots, 0), ModelSettings()) for mode in (one, two)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sim_score+sim_score", {}, r"sim_score\+sim_score"),
        ("none+sim_score", {}, "'none'"),
        ("sim_score+sim_tier", {"tiers": 3}, r"'tiers'.* sim_score, sim_tier"),
        ("sim_score+sim_tier", {"sim_tier.bins": 3}, "bins"),
        ("sim_score+sim_tier", {"sim_tier.tiers": 0}, r"sim_score\+sim_tier.sim_tier.tiers"),
        (
            "sim_score+sim_tier",
            {"sim_tier.learning_rate_factor": 2.0},
            "sim_tier.learning_rate_factor",
        ),
    ],
)
def test_parts_that_cannot_be_combined(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        load_mode(name, settings)


def test_two_parts_with_starting_ids(monkeypatch):
    from ctrbench.injection.sim_score import SimScore

    monkeypatch.setattr(SimScore, "starts_ids", True)
    with pytest.raises(ConfigError, match="id_init and sim_score"):
        load_mode("id_init+sim_score", {})


def test_part_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"sim_scor\+sim_tier: no mode 'sim_scor'.*sim_score"):
        load_mode("sim_scor+sim_tier", {})
