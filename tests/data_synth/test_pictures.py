import colorsys
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_synth.garments import GARMENTS, Cut
from data_synth.pictures import PATTERNS, draw, look, nuisance, picture, write_pictures
from data_synth.vectors import from_pictures, with_image
from data_synth.world import World, WorldConfig, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(WorldConfig(items=240, users=5, impressions=100, seed=2))


@pytest.fixture(scope="module")
def file(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "taste.parquet"
    write_pictures(path, world, with_image(world), 64, 1, lambda *_: None)
    return path


@pytest.mark.parametrize("size", [64, 224])
def test_a_picture_is_a_jpeg_of_its_size(world, size):
    image = Image.open(io.BytesIO(picture(world.items, 3, 2, 3, size)))
    assert (image.format, image.size, image.mode) == ("JPEG", (size, size), "RGB")


def test_file_contains_every_item_with_an_image(world, file):
    table = pq.read_table(file)
    assert (table["item_id"].to_numpy() - 1).tolist() == with_image(world).tolist()
    with Image.open(file.with_suffix(".png")) as sheet:
        assert sheet.size == (12 * 64, 12 * 64)


def test_bytes_do_not_depend_on_the_number_of_processes(world, file, tmp_path):
    write_pictures(tmp_path / "two.parquet", world, with_image(world), 64, 2, lambda *_: None)
    for ending in (".parquet", ".png"):
        again = (tmp_path / "two").with_suffix(ending).read_bytes()
        assert again == file.with_suffix(ending).read_bytes()


def test_every_trait_changes_the_look():
    style = np.full(8, 1 / np.sqrt(8))
    seen = look(style)
    for trait in range(8):
        other = style.copy()
        other[trait] = -other[trait]
        assert look(other) != seen, trait


def test_similar_styles_look_similar():
    rng = np.random.default_rng(0)
    for _ in range(50):
        style = rng.normal(size=8)
        style /= np.linalg.norm(style)
        one, other = look(style), look(style + 1e-4)
        turned = abs(one.hue - other.hue)
        assert min(turned, 1 - turned) < 0.01
        assert abs(one.length - other.length) < 0.01
        assert abs(one.contrast - other.contrast) < 0.01


def test_traits_of_random_styles_fill_their_range():
    styles = np.random.default_rng(0).normal(size=(2_000, 8))
    seen = [look(style / np.linalg.norm(style)) for style in styles]
    for values in ([each.length for each in seen], [each.hue for each in seen]):
        assert np.allclose(np.quantile(values, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.06)
    assert {each.pattern for each in seen} == set(range(len(PATTERNS)))


def test_nuisance_is_independent_of_style_and_differs_by_item(world):
    taken = np.array([nuisance(2, item).light for item in range(240)])
    assert len(set(taken)) == 240
    correlation = np.corrcoef(world.items.style.T, taken)[-1, :-1]
    assert np.abs(correlation).max() < 4 / np.sqrt(240)


@pytest.mark.parametrize("garment", GARMENTS)
def test_length_and_fit_change_every_garment(garment):
    assert garment(Cut(0.1, 0.5)) != garment(Cut(0.9, 0.5))
    assert garment(Cut(0.5, 0.1)) != garment(Cut(0.5, 0.9))
    for outline in (garment(Cut(0.0, 0.0)), garment(Cut(1.0, 1.0))):
        points = np.array([point for part in outline.cloth for point in part])
        assert np.abs(points).max() <= 1.05


def test_garment_has_the_hue_of_its_style(world):
    """Check the centre of pictures without pattern and in neutral light."""
    for item in range(12):
        seen = look(world.items.style[item])
        taken = nuisance(2, item)
        plain = type(seen)(**{**vars(seen), "contrast": 0.0, "lightness": 0.5})
        neutral = type(taken)(**{**vars(taken), "warmth": 0.0})
        pixels = draw(GARMENTS[0](Cut(0.5, 0.5)), plain, neutral, 0, 64)[28:36, 28:36]
        hue = colorsys.rgb_to_hls(*np.clip(pixels.mean(axis=(0, 1)), 0, 1))[0]
        turned = abs(hue - seen.hue)
        assert min(turned, 1 - turned) < 0.08


def test_every_source_has_a_different_background(world):
    seen, taken = look(world.items.style[0]), nuisance(2, 0)
    corners = [
        draw(GARMENTS[0](Cut(0.2, 0.2)), seen, taken, source, 64)[:6, :6].mean(axis=(0, 1))
        for source in range(4)
    ]
    for one in range(4):
        for other in range(one):
            assert np.abs(corners[one] - corners[other]).max() > 0.05


def test_nearest_neighbours_by_pixels_and_colours_share_the_style(world, file):
    """Check that they do so more often than by chance."""
    style = world.items.style_id[with_image(world)]
    chance = np.mean(style[:, None] == style[None, :])
    for vectors in from_pictures(file).values():
        centred = vectors - vectors.mean(axis=0)
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        cosine = centred @ centred.T
        np.fill_diagonal(cosine, -2)
        agreement = np.mean(style[cosine.argmax(axis=1)] == style)
        assert agreement > 1.5 * chance
