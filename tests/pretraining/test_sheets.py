"""Sheets of pictures."""

import numpy as np
import pytest
from PIL import Image

from ctrbench.errors import ConfigError, DataError, StoreError
from ctrbench.pretraining.pictures import Pictures
from ctrbench.pretraining.sheets import write_sheet
from ctrbench.schema import EmbeddingTable
from tests.pretraining.test_pictures import SHOWN

DATA = SHOWN["plain"]
PICTURES = Pictures(
    np.array([0, 0, 0, 1, 2, 3, 4]) * len(DATA),
    np.frombuffer(DATA * 4, np.uint8),
    np.arange(6) > 1,
    {},
    "hash",
)


def table(has_vector):
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    return EmbeddingTable(vectors, np.array(has_vector, bool))


@pytest.mark.parametrize("ending", ["png", "jpg", "WEBP", "pdf"])
def test_sheet_of_every_format(ending, tmp_path):
    path = tmp_path / f"sheet.{ending}"
    assert write_sheet(path, table([0, 1, 1, 1, 0, 1]), PICTURES, 5, 2, 16) == 3
    if ending == "png":
        with Image.open(path) as drawn:
            assert drawn.size == (3 * 20 + 16, 3 * 20)


def test_sheet_that_cannot_be_drawn_is_an_error(tmp_path):
    everything = table([0, 1, 1, 1, 1, 1])
    for ending in ("xyz", "xbm", ""):
        with pytest.raises(ConfigError, match=r"\.png or \.jpg"):
            write_sheet(tmp_path / f"sheet.{ending}", everything, PICTURES, 5, 2, 16)
    with pytest.raises(DataError, match="no item has both a vector and a picture"):
        write_sheet(tmp_path / "a.png", table([0, 1, 0, 0, 0, 0]), PICTURES, 5, 2, 16)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        write_sheet(tmp_path / "file" / "a.png", everything, PICTURES, 5, 2, 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
