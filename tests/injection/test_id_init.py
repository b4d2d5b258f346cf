import numpy as np
import pytest
import torch

from ctrbench.batches.packing import Packer
from ctrbench.injection.id_init import IdInit
from ctrbench.injection.none import NoInjection
from ctrbench.models.din import DIN
from ctrbench.settings import ModelSettings
from tests.injection.made import ROWS, drawn

SETTINGS = ModelSettings(history_length=10, embedding_size=4, attention=(8,), top=(8,))


def start(mode, given, slots, settings=SETTINGS):
    return mode.starting_ids(mode.prepare(given, slots, 0), settings)


@pytest.mark.parametrize("projection", ["pca", "random"])
def test_starting_ids_have_the_given_spread_and_nan_without_an_image(slots, projection):
    found = start(IdInit(projection=projection, std=0.3), drawn(slots, width=6), slots)
    missing = np.isnan(found).all(axis=1)
    assert np.flatnonzero(missing).tolist() == [0, 5]
    assert abs(found[~missing].std() - 0.3) < 1e-5


def test_pca_keeps_the_first_principal_components(slots):
    from sklearn.decomposition import PCA

    given = drawn(slots, width=6)
    found = start(IdInit(), given, slots)[given.has_vector]
    expected = PCA(4).fit_transform(given.unit(center=True)[given.has_vector])
    for own, component in zip(found.T, expected.T, strict=True):
        assert abs(np.corrcoef(own, component)[0, 1]) > 1 - 1e-6


def test_none_uses_the_vectors_unchanged(slots):
    given = drawn(slots, width=4)
    found = start(IdInit(projection="none", center=False), given, slots)[given.has_vector]
    unit = given.unit()[given.has_vector]
    np.testing.assert_allclose(found / found[0, 0], unit / unit[0, 0], rtol=1e-4)


def test_model_uses_starting_ids_and_the_draws_of_the_baseline(slots):
    given, mode = drawn(slots, width=6), IdInit()
    prepared = mode.prepare(given, slots, 0)
    packer = Packer(slots, SETTINGS, {}, {})
    probe = packer.pack(ROWS[:8], None)
    model, baseline = (
        DIN(packer.sizes, SETTINGS, one, prepared, probe, 0) for one in (mode, NoInjection())
    )
    has = torch.from_numpy(given.has_vector)
    own, drawn_ids = model.id_embedding.weight, baseline.id_embedding.weight
    assert torch.equal(own[~has], drawn_ids[~has])
    expected = mode.starting_ids(prepared, SETTINGS)[given.has_vector]
    np.testing.assert_array_equal(own[has].detach(), expected)


@pytest.mark.parametrize(
    ("mode", "width", "message"),
    [
        (IdInit(projection="none"), 6, "embedding of 4"),
        (IdInit(), 3, "projection: random"),
    ],
)
def test_vectors_that_cannot_fit(mode, width, message):
    assert message in mode.problems(40, width, SETTINGS)[0]
