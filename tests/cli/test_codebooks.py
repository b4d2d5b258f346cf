import json
import re

import pytest
from PIL import Image
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, StoreError
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world


@pytest.fixture
def run(tmp_path):
    write_world(WorldConfig("taste", users=30, items=30, impressions=600), tmp_path, pictures=64)

    def invoke(*words):
        given = ["--home", str(tmp_path), "codebook", *words, "--dataset", "taste"]
        result = CliRunner().invoke(app, given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return invoke


def test_table_and_files(run, tmp_path):
    options = ["--size", "4,8", "--seeds", "2", "--against", "noisy_0.5"]
    output = run("oracle", *options, "--output", str(tmp_path / "out"))
    assert re.search(r"centres\s+┃\s+4 ┃\s+8 ┃", output)
    for row in ("entropy", "over seeds: adjusted Rand", "with noisy_0.5: mutual information"):
        assert row in output
    for size in (4, 8):
        folder = tmp_path / "out" / f"oracle-{size}"
        assert (folder / "codes.parquet").exists()
        with Image.open(folder / "clusters.png") as picture:
            assert picture.height == size * 68


def test_the_codebook_of_a_field_is_that_of_its_vectors(run, tmp_path, two_fields):
    two_fields(Workspace(tmp_path))
    field, alone = (
        json.loads(run(name, "--size", "4", "--json")) for name in ("v7:text", "oracle")
    )
    for name in ("v7:text", "oracle"):
        run(name, "--size", "4", "--output", str(tmp_path / "out"))
    assert field["request"]["version"] == "v7:text"
    assert field["sizes"] == alone["sizes"]
    mine, theirs = (
        (tmp_path / "out" / name / "codes.parquet").read_bytes()
        for name in ("v7-text-4", "oracle-4")
    )
    assert mine == theirs
    with pytest.raises(ConfigError) as error:
        run("v7", "--size", "4")
    assert str(error.value) == (
        "embedding version 'v7' of 'taste' has several vector fields: image, text. Name one of "
        "them, such as v7:image."
    )


@pytest.mark.parametrize(
    ("size", "message"), [("4;8", "whole numbers"), ("4,8,4", "repeated"), ("1", "size 1")]
)
def test_invalid_size(run, size, message):
    with pytest.raises(ConfigError, match=message):
        run("oracle", "--size", size)


def test_output_that_cannot_be_written_is_an_error_before_fitting(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file instead of a folder"):
        run("oracle", "--size", "4", "--output", str(tmp_path / "file"))
    assert not (tmp_path / "cache" / "codebooks").exists()
