"""Properties of all controls, then numbers of each control."""

import numpy as np
import pytest

from ctrbench import plugins
from ctrbench.controls import apply, apply_to_fields
from ctrbench.controls.shuffled import Shuffled
from ctrbench.errors import ConfigError
from ctrbench.schema import Control, EmbeddingTable

KINDS = plugins.names("ctrbench.controls")
GROUPS = np.arange(60) % 7


def make_table(dtype="float32", rows=60, width=5):
    rng = np.random.default_rng(0)
    has_vector = rng.random(rows) < 0.8
    has_vector[0] = False
    vectors = (rng.normal(size=(rows, width)) * 3 + 1).astype(dtype)
    vectors[~has_vector] = 0
    return EmbeddingTable(vectors, has_vector)


def _apply(kind, seed=0, table=None, within=None, groups=None):
    return apply(Control(kind=kind, within=within), table or make_table(), seed, groups)


def _sorted_rows(vectors):
    return vectors[np.lexsort(vectors.T)]


def test_all_kinds_are_found():
    assert KINDS == ["constant", "random", "shuffled"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_coverage_and_dtype_are_unchanged(kind, dtype, tmp_path):
    table = make_table(dtype)
    np.save(tmp_path / "vectors.npy", table.vectors)
    mapped = EmbeddingTable(np.load(tmp_path / "vectors.npy", mmap_mode="r"), table.has_vector)
    made = _apply(kind, table=mapped)
    np.testing.assert_array_equal(made.has_vector, table.has_vector)
    assert made.vectors.dtype == dtype
    assert not isinstance(made.vectors, np.memmap)
    assert not made.vectors[~table.has_vector].any()
    assert (made.vectors[table.has_vector] != table.vectors[table.has_vector]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_vectors(kind):
    np.testing.assert_array_equal(_apply(kind, seed=3).vectors, _apply(kind, seed=3).vectors)


@pytest.mark.parametrize("kind", ["random", "shuffled"])
def test_seeds_differ(kind):
    assert (_apply(kind, seed=3).vectors != _apply(kind, seed=4).vectors).any()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("float32", 1e-6)])
def test_random_keeps_each_norm_and_no_direction(dtype, tolerance):
    table = make_table(dtype, rows=400, width=50)
    made = _apply("random", table=table).vectors.astype(float)
    given = table.vectors.astype(float)
    norm = np.linalg.norm(given, axis=1)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), norm, rtol=tolerance)
    has = table.has_vector
    cosine = (made * given).sum(1)[has] / norm[has] ** 2
    assert abs(cosine.mean()) < 0.03  # 1 / sqrt(50 * 320) = 0.008


def test_random_does_not_depend_on_other_vectors():
    table = make_table()
    fewer = EmbeddingTable(table.vectors.copy(), table.has_vector.copy())
    dropped = np.flatnonzero(fewer.has_vector)[0]
    fewer.vectors[dropped], fewer.has_vector[dropped] = 0, False
    kept = fewer.has_vector
    made, made_of_fewer = _apply("random").vectors, _apply("random", table=fewer).vectors
    np.testing.assert_array_equal(made[kept], made_of_fewer[kept])


def test_shuffled_keeps_the_multiset():
    table, made = make_table(), _apply("shuffled")
    np.testing.assert_array_equal(_sorted_rows(table.vectors), _sorted_rows(made.vectors))


def test_shuffled_within_keeps_each_group():
    table, made = make_table(), _apply("shuffled", within="colour", groups=GROUPS)
    for group in range(7):
        rows = group == GROUPS
        expected = _sorted_rows(table.vectors[rows])
        np.testing.assert_array_equal(expected, _sorted_rows(made.vectors[rows]))
    assert (made.vectors != table.vectors).any()


def test_shuffled_is_uniform():
    table = EmbeddingTable(np.array([[0], [1], [2], [3]], np.float32), np.arange(4) > 0)
    counts = np.zeros((4, 4))
    for seed in range(900):
        made = Shuffled().vectors(table, seed, None)
        counts[np.arange(4), made[:, 0].astype(int)] += 1
    np.testing.assert_allclose(counts[1:, 1:], 300, atol=70)  # 5 standard deviations


def test_single_items_of_a_group_are_unchanged():
    groups = np.arange(60)
    table, made = make_table(), _apply("shuffled", within="id", groups=groups)
    np.testing.assert_array_equal(made.vectors, table.vectors)


def test_constant_is_the_mean():
    table, made = make_table(), _apply("constant")
    mean = table.vectors[table.has_vector].mean(axis=0, dtype=float)
    np.testing.assert_allclose(made.vectors[table.has_vector], np.tile(mean, (46, 1)), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_vector_at_all(kind):
    empty = EmbeddingTable(np.zeros((4, 2), np.float16), np.zeros(4, bool))
    assert not _apply(kind, table=empty).vectors.any()


@pytest.mark.parametrize("kind", ["random", "constant"])
def test_only_shuffled_supports_within(kind):
    with pytest.raises(ConfigError, match=f"'{kind}'.*'within'"):
        _apply(kind, within="colour", groups=GROUPS)


def test_within_requires_the_codes():
    with pytest.raises(ConfigError, match="'within'"):
        _apply("shuffled", within="colour")
    with pytest.raises(ConfigError, match="'within'"):
        _apply("shuffled", groups=GROUPS)


def _pair(same_coverage):
    """Return two fields in which the first number of an item with a vector is its id."""
    tables = {"image": make_table(), "text": make_table(width=3)}
    if not same_coverage:
        tables["text"].has_vector[1:60:3] ^= True
        tables["text"].has_vector[1] = tables["image"].has_vector[1] = True
    for table in tables.values():
        table.vectors[:] = 1 + np.arange(60)[:, None]
        table.vectors[~table.has_vector] = 0
    return tables


@pytest.mark.parametrize("same_coverage", [True, False])
@pytest.mark.parametrize("within", [None, "colour"])
def test_shuffled_moves_all_fields_of_an_item_together(same_coverage, within):
    tables, groups = _pair(same_coverage), GROUPS if within else None
    control = Control(kind="shuffled", within=within)
    made = apply_to_fields(control, tables, 0, groups)
    image, text = (made[name].vectors[:, 0].astype(int) - 1 for name in ("image", "text"))
    has = {name: tables[name].has_vector for name in tables}
    both = has["image"] & has["text"]
    assert both.sum() > 10
    np.testing.assert_array_equal(image[both], text[both])
    assert (image[both] != np.flatnonzero(both)).any()
    for name, given in (("image", image), ("text", text)):
        np.testing.assert_array_equal(made[name].vectors.any(axis=1), has[name])
        np.testing.assert_array_equal(np.sort(given[has[name]]), np.flatnonzero(has[name]))
        if within:
            np.testing.assert_array_equal(GROUPS[given[has[name]]], GROUPS[has[name]])
    if same_coverage:
        alone = apply(control, tables["image"], 0, groups)
        np.testing.assert_array_equal(made["image"].vectors, alone.vectors)


def test_random_fields_are_independent():
    tables = {"image": make_table(), "text": make_table()}
    made = apply_to_fields(Control(kind="random"), tables, 0)
    np.testing.assert_array_equal(made["image"].vectors, _apply("random").vectors)
    assert not np.allclose(made["image"].vectors, made["text"].vectors)
