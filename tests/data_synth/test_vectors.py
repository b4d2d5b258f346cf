import numpy as np
import pytest

from data_synth.vectors import (
    constant,
    downsampled,
    histogram,
    noisy,
    oracle,
    random,
    source,
    versions,
    with_image,
)
from data_synth.world import WorldConfig, make_world


@pytest.mark.parametrize("name", versions(make_world(WorldConfig(kind="spurious"))))
def test_same_seed_same_vectors(name):
    world = make_world(WorldConfig(kind="spurious"))
    vectors = versions(world)[name](world)
    assert vectors.shape == (1000, 48)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, versions(world)[name](make_world(world.config)))


def test_oracle_preserves_every_cosine(taste):
    vectors, style = oracle(taste), taste.items.style
    np.testing.assert_allclose(vectors @ vectors.T, style @ style.T, atol=1e-5)


@pytest.mark.parametrize("ratio", [2, 0.5, 0.125])
def test_noisy_has_the_stated_signal_to_noise_ratio(taste, ratio):
    noise = noisy(taste, ratio) - oracle(taste)
    assert (oracle(taste) ** 2).sum() / (noise**2).sum() == pytest.approx(ratio, rel=0.02)


def _agreement(vectors: np.ndarray, style: np.ndarray) -> float:
    above = np.triu_indices(len(style), k=1)
    return float(np.corrcoef((vectors @ vectors.T)[above], (style @ style.T)[above])[0, 1])


def test_agreement_with_style_decreases_with_noise(taste):
    made = [oracle(taste), *(noisy(taste, ratio) for ratio in (2, 0.5, 0.125)), random(taste)]
    agreement = [_agreement(vectors, taste.items.style) for vectors in made]
    assert agreement[0] == pytest.approx(1)
    assert agreement == sorted(agreement, reverse=True)
    assert abs(agreement[-1]) < 0.01


def test_constant_is_one_unit_vector(taste):
    vectors = constant(taste)
    assert (vectors == vectors[0]).all()
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)


def test_source_vectors_contain_only_the_source():
    world = make_world(WorldConfig(kind="spurious"))
    vectors, origin = source(world), world.items.source
    same = origin[:, None] == origin[None, :]
    cosine = vectors @ vectors.T
    assert cosine[same].mean() > 0.9
    assert abs(cosine[~same].mean()) < 0.01
    within = origin == 0
    agreement = _agreement(vectors[within], world.items.style[within])
    assert abs(agreement) < 4 / np.sqrt(within.sum())


def test_histogram_counts_colours():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = 255
    shares = histogram(pixels)
    assert shares[0] == 0.75
    assert shares[-1] == 0.25
    assert shares.sum() == 1


def test_downsampled_is_the_mean_of_each_block():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    vector = downsampled(pixels).reshape(8, 8, 3)
    np.testing.assert_allclose(vector[1, 2], pixels[2:4, 4:6].mean(axis=(0, 1)) / 255, rtol=1e-6)


def test_some_items_have_no_image(taste):
    rows = with_image(taste)
    assert len(set(rows)) == len(rows) == 970
    np.testing.assert_array_equal(rows, with_image(taste))
