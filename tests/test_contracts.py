"""Every listed contender satisfies its contract; a new one requires no new test file."""

import numpy as np
import pytest
import torch

from ctrbench import plugins
from ctrbench.batches.packing import Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.injection import Images, Injection, Prepared, load_mode
from ctrbench.injection.none import NoInjection
from ctrbench.models import backbone_names, load_backbone
from ctrbench.models._base import Backbone
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.training import fit, predict

MODES = [name for name in plugins.names("ctrbench.injection") if name != "none"]
SETTINGS = ModelSettings(history_length=10, embedding_size=4, attention=(8,), top=(8,))
SMALL = {"codebook_size": 7}  # settings required by the tiny world, for modes that have them
ROWS = np.arange(400, 500)
BACKBONES = {
    **{
        name: SETTINGS.model_copy(update={"backbone": name, "transformer_width": 8})
        for name in backbone_names()
    },
    "uniform": SETTINGS.model_copy(update={"attention_weights": "uniform"}),
}


def make(name: str) -> Injection:
    known = plugins.load("ctrbench.injection", name, Injection).model_fields
    return load_mode(name, {key: value for key, value in SMALL.items() if key in known})


def images(slots: HistorySlots, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    has_vector = rng.random(slots.impressions.item_rows) < 0.9
    has_vector[0] = False
    vectors = rng.normal(size=(len(has_vector), 6)).astype(np.float32) * has_vector[:, None]
    return Images(vectors, has_vector, has_vector)


def build(
    name: str, slots: HistorySlots, seed: int = 0, settings: ModelSettings = SETTINGS
) -> tuple[Backbone, Packer]:
    mode = make(name) if name != "none" else NoInjection()
    prepared = mode.prepare(images(slots), slots, seed) if name != "none" else Prepared()
    packer = Packer(slots, settings, prepared.item, prepared.slot)
    probe = packer.pack(ROWS[:8], None)
    backbone = load_backbone(settings.backbone)
    return backbone(packer.sizes, settings, mode, prepared, probe, seed), packer


def starts_ids(model: Backbone) -> bool:
    return model.mode.starts_ids


def kinds(prepared: Prepared) -> tuple[dict[str, np.ndarray], ...]:
    return prepared.item, prepared.slot, prepared.whole


@pytest.mark.parametrize("name", MODES)
def test_mode_changes_predictions(name, slots):
    """Check that predictions differ from those of a baseline with the same training."""
    predictions = []
    for which in (name, "none"):
        model, packer = build(which, slots)
        fit(model, packer, TrainingSettings(batch_size=128), 0, lambda share: None)
        predictions.append(predict(model, packer, "test", lambda share: None))
    assert np.abs(predictions[0] - predictions[1]).max() > 1e-4


@pytest.mark.parametrize("name", MODES)
def test_learned_equals_the_number_of_parameters(name, slots):
    mode = make(name)
    prepared = mode.prepare(images(slots), slots, 0)
    found = torch.nn.ModuleDict(mode.layers(prepared))
    width = images(slots).vectors.shape[1]
    assert mode.learned(width) == sum(one.numel() for one in found.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", MODES)
def test_neutral_image_block_gives_the_logits_of_the_baseline(name, backbone, slots, monkeypatch):
    settings = BACKBONES[backbone]
    (model, packer), (baseline, _) = (
        build(one, slots, settings=settings) for one in (name, "none")
    )
    if starts_ids(model):
        baseline.id_embedding = model.id_embedding
    own = type(model.mode).inject
    neutral = lambda mode, layers, batch: own(mode, layers, batch).neutral()  # noqa: E731
    monkeypatch.setattr(type(model.mode), "inject", neutral)
    batch = packer.pack(ROWS, None)
    assert torch.equal(model(batch), baseline(batch))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", MODES)
def test_shared_parameters_are_initialised_as_in_the_baseline(name, backbone, slots):
    settings = BACKBONES[backbone]
    (model, _), (baseline, _) = (build(one, slots, settings=settings) for one in (name, "none"))
    own = dict(model.named_parameters())
    for key, parameter in baseline.named_parameters():
        if key != "id_embedding.weight" or not starts_ids(model):
            assert torch.equal(own[key], parameter), key


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", MODES)
def test_logit_does_not_depend_on_other_rows(name, backbone, slots):
    model, packer = build(name, slots, settings=BACKBONES[backbone])
    model.eval()
    together = model(packer.pack(ROWS, None))
    alone = torch.cat([model(packer.pack(ROWS[i : i + 1], None)) for i in range(len(ROWS))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backbone", backbone_names())
@pytest.mark.parametrize("name", MODES)
def test_every_image_parameter_is_trained(name, backbone, slots):
    model, packer = build(name, slots, settings=BACKBONES[backbone])
    before = [parameter.detach().clone() for parameter in model.image_parameters()]
    fit(model, packer, TrainingSettings(batch_size=128), 0, lambda share: None)
    for old, new in zip(before, model.image_parameters(), strict=True):
        assert not torch.equal(old, new)


@pytest.mark.parametrize("name", ["none", *MODES])
def test_training_twice_gives_identical_predictions(name, slots):
    def trained():
        model, packer = build(name, slots)
        fit(model, packer, TrainingSettings(batch_size=128), 0, lambda share: None)
        return predict(model, packer, "test", lambda share: None)

    assert np.array_equal(trained(), trained())


@pytest.mark.parametrize("name", MODES)
def test_preparation_is_finite_and_deterministic_and_keeps_the_vectors(name, slots):
    given = images(slots)
    before = given.vectors.copy()
    one, two = (make(name).prepare(given, slots, 3) for _ in range(2))
    assert np.array_equal(given.vectors, before)
    for first, second in zip(kinds(one), kinds(two), strict=True):
        assert first.keys() == second.keys()
        for key, values in first.items():
            assert first is one.whole or np.isfinite(values).all()
            np.testing.assert_array_equal(values, second[key])
    assert all(len(values) == slots.impressions.item_rows for values in one.item.values())
    assert all(len(values) == slots.total for values in one.slot.values())


@pytest.mark.parametrize("name", MODES)
def test_length_of_vectors_has_no_effect(name, slots):
    """Check that modes normalise vectors."""
    given = images(slots)
    longer = Images(given.vectors * np.float32(4), given.has_vector, given.fitting)
    one, two = make(name).prepare(given, slots, 0), make(name).prepare(longer, slots, 0)
    for first, second in zip(kinds(one), kinds(two), strict=True):
        for key, values in first.items():
            np.testing.assert_array_equal(values, second[key])
