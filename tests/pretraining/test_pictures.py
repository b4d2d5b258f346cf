"""Pictures of every kind: valid ones are decoded, invalid ones are counted and named."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ctrbench.errors import DataError
from ctrbench.pretraining.pictures import cropped, decode, open_pictures
from ctrbench.workspace import Workspace
from tests.conftest import make_impressions

MANIFEST = make_impressions().manifest.model_copy(update={"has_images": True})


def encoded(image, kind="PNG", **more):
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


RED = Image.new("RGB", (30, 20), (200, 10, 10))
FRAMES = [Image.new("P", (9, 9), colour) for colour in (0, 1)]
SHOWN = {
    "plain": encoded(RED, "JPEG", quality=95),
    "grey": encoded(Image.new("L", (8, 8), 120)),
    "cmyk": encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
    "alpha": encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))),
    "animated": encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "webp": encoded(RED, "WEBP"),
    "sixteen bit": encoded(Image.new("I;16", (8, 8), 40000)),
}
NOT_SHOWN = {
    "truncated": SHOWN["plain"][: len(SHOWN["plain"]) // 2],
    "text": b"this is no picture at all",
    "huge": encoded(Image.new("1", (20_000, 6_000))),
    "postscript": encoded(RED, "EPS"),
    "numbers": encoded(Image.new("F", (8, 8), 0.5), "TIFF"),
    "whole numbers": encoded(Image.new("I", (8, 8), 70_000), "TIFF"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_pictures_of_all_kinds(name):
    image = decode(SHOWN[name])
    assert image.mode == "RGB"
    assert cropped(image, 16).shape == (16, 16, 3)


def test_transparency_becomes_white():
    assert (cropped(decode(SHOWN["alpha"]), 4) == 255).all()
    red = cropped(decode(SHOWN["plain"]), 4).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(red, [200, 10, 10], atol=6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("truncated", "(?i)truncated"),
        ("text", "not a picture"),
        ("huge", "pixels"),
        ("postscript", "JPEG, PNG"),
        ("numbers", "32-bit"),
        ("whole numbers", "32-bit"),
    ],
)
def test_invalid_picture_is_an_error(name, message):
    with pytest.raises(ValueError, match=message):
        decode(NOT_SHOWN[name])


def test_centre_is_cropped():
    striped = np.zeros((10, 40, 3), np.uint8)
    striped[:, 15:25] = 255
    assert cropped(Image.fromarray(striped), 4)[1:3].mean() > 200


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_greyscale_is_converted_to_8_bits(order):
    ramp = np.arange(256, dtype=order).reshape(16, 16) * 257
    kind = "PNG" if order == "<u2" else "TIFF"
    grey = np.asarray(decode(encoded(Image.fromarray(ramp), kind)))
    np.testing.assert_array_equal(grey[:, :, 0].ravel(), np.arange(256))


def test_any_error_of_a_decoder_is_a_value_error(monkeypatch):
    def load(image):
        raise RuntimeError("Failed to decode frame 0\nand more")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ValueError, match=r"^Failed to decode frame 0$"):
        decode(SHOWN["grey"])


@pytest.mark.parametrize("size", [(1_000_000, 1), (1, 1_000_000), (9_000, 30)])
def test_long_picture_is_cropped_before_scaling(size, monkeypatch):
    scale = Image.Image.resize

    def checked(image, size, *more):
        assert size[0] * size[1] < 1_000_000
        return scale(image, size, *more)

    monkeypatch.setattr(Image.Image, "resize", checked)
    long = Image.new("RGB", size)
    long.paste("white", (size[0] // 2 - 300, size[1] // 2 - 300, size[0] // 2 + 300, 1_000_000))
    found = cropped(decode(encoded(long)), 64)
    assert found.shape == (64, 64, 3)
    assert (found == 255).all()


def stored(tmp_path, pictures):
    """Return a workspace whose data set contains only pictures, for items 1, 2, ...."""
    workspace = Workspace(tmp_path)
    folder = workspace.data / MANIFEST.name
    folder.mkdir(parents=True)
    columns = {
        "item_id": pa.array(range(1, len(pictures) + 1), pa.int32()),
        "file": list(pictures),
        "bytes": pa.array(list(pictures.values()), pa.binary()),
    }
    pq.write_table(pa.table(columns), folder / "images.parquet")
    return workspace


def test_pictures_of_a_data_set(tmp_path):
    workspace = stored(tmp_path, SHOWN | NOT_SHOWN)
    found = open_pictures(workspace, MANIFEST)
    assert list(np.flatnonzero(found.usable)) == list(range(1, len(SHOWN) + 1))
    assert found.unusable.keys() == NOT_SHOWN.keys()
    pixels = found.pixels(np.array([2, 1]), 8)
    np.testing.assert_array_equal(pixels[1], cropped(decode(SHOWN["plain"]), 8))
    again = open_pictures(workspace, MANIFEST)
    assert again.content_hash == found.content_hash


def test_data_set_without_usable_pictures_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r" 6 images of 'tiny'"):
        open_pictures(stored(tmp_path, NOT_SHOWN), MANIFEST)
    without = MANIFEST.model_copy(update={"has_images": False})
    with pytest.raises(DataError, match=r"'tiny' has no images.* --images"):
        open_pictures(Workspace(tmp_path), without)
