"""Versions with several vector fields per item."""

import numpy as np
import pytest

from ctrbench import embeddings
from ctrbench.embeddings import Fitting
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from tests.embeddings.conftest import RAW_IDS

IMAGE = {"7": [1, 2], "12": [3, 4], "b": [5, 6]}
TEXT = {"7": [7, 8, 9], "b": [1, 0, 2]}


@pytest.fixture
def add_fields(workspace, log, tmp_path):
    """Add {field: {raw id: vector}} as one version; returns its manifest and whether it is new."""

    def add(version, fields, append_to=None):
        sources = {}
        for name, rows in fields.items():
            path = tmp_path / f"{version}-{name}.npz"
            np.savez(path, key=np.array(list(rows)), value=np.array(list(rows.values()), "f4"))
            sources[name] = embeddings.Source(path)
        return embeddings.add_version(workspace, log, RAW_IDS, version, sources, append_to, True)

    return add


def test_each_field_has_its_own_table(add_fields, workspace):
    manifest, new = add_fields("v", {"image": IMAGE, "text": TEXT})
    assert new
    assert manifest.field_names == ("image", "text")
    image, text = (embeddings.open_version(workspace, "tiny", f"v:{f}") for f in ("image", "text"))
    np.testing.assert_array_equal(image.vectors[[1, 2, 4]], list(IMAGE.values()))
    np.testing.assert_array_equal(text.vectors[[1, 4]], list(TEXT.values()))
    np.testing.assert_array_equal(text.has_vector, [0, 1, 0, 0, 1, 0, 0])
    assert (manifest.of("image").width, manifest.of("text").width) == (2, 3)
    assert manifest.of("text") == embeddings.read_manifest(workspace, "tiny", "v:text")
    assert embeddings.names(workspace, "tiny") == ["v"]


def test_first_field_keeps_the_hash_of_a_version_without_fields(add, add_fields):
    alone, _ = add("alone", IMAGE)
    both, _ = add_fields("v", {"image": IMAGE, "text": TEXT})
    assert alone.field_names == ("image",)
    assert both.content_hash == alone.content_hash == both.hash_of([None])


def test_field_is_added_to_an_existing_version(add, add_fields):
    before, _ = add("v", IMAGE)
    after, new = add_fields("v", {"text": TEXT})
    assert new
    assert after.field_names == ("image", "text")
    assert after.of("image") == before
    again, new = add_fields("v", {"image": IMAGE, "text": TEXT})
    assert (again, new) == (after, False)


def test_field_is_immutable(add_fields, workspace):
    before, _ = add_fields("v", {"image": IMAGE, "text": TEXT})
    with pytest.raises(ConfigError, match=r"'v' .*'text'"):
        add_fields("v", {"text": IMAGE})
    assert embeddings.read_manifest(workspace, "tiny", "v") == before


def test_vectors_without_a_name_are_those_of_the_first_field(add, add_fields):
    before, _ = add_fields("v", {"text": TEXT})
    assert add("v", TEXT) == (before, False)
    with pytest.raises(ConfigError, match="other content"):
        add("v", IMAGE)


def test_invalid_field_leaves_no_version(add_fields, workspace):
    with pytest.raises(DataError, match="NaN"):
        add_fields("v", {"image": IMAGE, "text": {"7": [np.nan]}})
    with pytest.raises(ConfigError, match="vector field name 'a:b'"):
        add_fields("v", {"a:b": IMAGE})
    assert embeddings.names(workspace, "tiny") == []


def test_one_of_several_fields_must_be_named(add_fields, workspace):
    add_fields("v", {"image": IMAGE, "text": TEXT})
    with pytest.raises(ConfigError, match=r"image, text\. .*v:image"):
        embeddings.open_version(workspace, "tiny", "v")
    with pytest.raises(UnknownNameError, match=r"'txt'.* Did you mean 'text'"):
        embeddings.open_version(workspace, "tiny", "v:txt")


def test_field_of_a_version_with_one_field(add, workspace):
    add("v", IMAGE)
    with pytest.raises(UnknownNameError, match=r"'text'.*image"):
        embeddings.read_manifest(workspace, "tiny", "v:text")
    assert embeddings.open_version(workspace, "tiny", "v:image").has_vector.sum() == 3


def test_hash_of_several_fields_depends_on_their_order(add_fields):
    manifest, _ = add_fields("v", {"image": IMAGE, "text": TEXT})
    assert manifest.hash_of(["text"]) == manifest.of("text").content_hash
    assert manifest.hash_of([None, "image"]) == manifest.content_hash
    assert manifest.hash_of([None, "text"]) == manifest.hash_of(["image", "text"])
    assert manifest.hash_of(["text", "image"]) != manifest.hash_of(["image", "text"])


def test_append_to_every_field(add_fields, workspace):
    add_fields("v", {"image": IMAGE, "text": TEXT})
    with pytest.raises(ConfigError, match="no file is given for text"):
        add_fields("w", {"image": {"99": [1, 1]}}, append_to="v")
    longer, _ = add_fields("w", {"image": {"99": [1, 1]}, "text": {"99": [1, 1, 1]}}, "v")
    assert longer.of("text").provenance["appended_to"] == "v:text"
    table = embeddings.open_version(workspace, "tiny", "w:text")
    np.testing.assert_array_equal(table.has_vector, [0, 1, 0, 0, 1, 0, 1])


def test_derived_field_keeps_its_name(add_fields, workspace, dataset):
    add_fields("v", {"image": IMAGE, "text": TEXT})
    fitting = Fitting("pretrain", np.ones(7, bool))
    made = [
        embeddings.derive_version(workspace, dataset, f"v:{field}", "d", ("center", {}), fitting)
        for field in ("text", "image", "text")
    ]
    assert [new for _, new in made] == [True, True, False]
    assert embeddings.read_manifest(workspace, "tiny", "d").field_names == ("text", "image")
    table = embeddings.open_version(workspace, "tiny", "d:text")
    np.testing.assert_allclose(table.vectors[[1, 4]], [[3, 4, 3.5], [-3, -4, -3.5]])
    with pytest.raises(ConfigError, match="image, text"):
        embeddings.derive_version(workspace, dataset, "v", "e", ("center", {}), fitting)
