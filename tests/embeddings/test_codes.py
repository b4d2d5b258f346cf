"""Versions of codes: read, joined, numbered and checked."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench import controls, embeddings
from ctrbench.embeddings.versions import table_hash
from ctrbench.errors import ConfigError, DataError
from ctrbench.schema import Control, EmbeddingTable

from .conftest import RAW_IDS

LISTS = pa.array([[0, 5], [0, 0], [9, 5], [0, 0]], pa.list_(pa.int16()))
VIEWS = pa.array([[0, 5], [0, 0], [9, 5], [0, 0]], pa.list_view(pa.int32()))
FIXED = pa.array([[0, 5], [0, 0], [9, 5], [0, 0]], pa.list_(pa.uint32(), 2))
IDS = ["7", "a", "99", "zz"]
FORMS = {
    "lists": {"codes": LISTS},
    "fixed-size lists": {"codes": FIXED, "price": [0.1, 0.2, 0.3, 0.4]},
    "list views": {"codes": VIEWS},
    "numbered columns": {"c2": [5, 0, 5, 0], "year": [1, 2, 3, 4], "c1": [0, 0, 9, 0]},
}


@pytest.fixture
def add_codes(workspace, log, tmp_path):
    def add_table(version, columns, append_to=None, ids=IDS, **options):
        path = tmp_path / f"{version}.parquet"
        pq.write_table(pa.table({"item_id": ids, **columns}), path)
        source = embeddings.Source(path, codes=True, **options)
        return embeddings.add_version(workspace, log, RAW_IDS, version, source, append_to, True)[0]

    return add_table


def _rows(workspace, version) -> dict[str, list[int]]:
    table = embeddings.open_version(workspace, "tiny", version, codes=True)
    return {
        raw: table.vectors[item].tolist()
        for item, raw in enumerate(RAW_IDS, start=1)
        if table.has_vector[item]
    }


@pytest.mark.parametrize("form", FORMS)
def test_codes_are_joined_by_id_and_zero_is_a_code(add_codes, workspace, form):
    made = add_codes("rq", FORMS[form])
    assert _rows(workspace, "rq") == {"7": [0, 5], "a": [0, 0], "99": [9, 5]}
    assert (made.kind, made.code_counts, made.dtype) == ("codes", (2, 2), "int32")
    assert (made.items_with_vector, made.zero_vectors, made.unmatched_ids) == (3, 0, 1)


def test_one_column_of_large_codes(add_codes, workspace):
    made = add_codes("rq", {"title": list("abcd"), "code": [1 << 40, 0, 1 << 40, 7]})
    assert (made.code_counts, made.dtype) == ((2,), "int64")
    assert _rows(workspace, "rq") == {"7": [1 << 40], "a": [0], "99": [1 << 40]}
    numbered = embeddings.numbered_codes(
        embeddings.open_version(workspace, "tiny", "rq", codes=True)
    )
    assert numbered.vectors[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 1]


def test_every_form_gives_the_same_content(add_codes):
    hashes = {
        add_codes(form.replace(" ", "_"), columns).content_hash for form, columns in FORMS.items()
    }
    assert len(hashes) == 1


def test_a_folder_of_parts(add_codes, workspace, log, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(2):
        rows = slice(2 * part, 2 * part + 2)
        table = pa.table({"item_id": IDS[rows], "codes": LISTS[rows]})
        pq.write_table(table, folder / f"part-{part}.parquet")
    source = embeddings.Source(folder, codes=True)
    made, _ = embeddings.add_version(workspace, log, RAW_IDS, "parts", source, None, True)
    assert made.content_hash == add_codes("whole", {"codes": LISTS}).content_hash


def test_codes_are_appended_to_codes_only(add_codes, add, workspace):
    add_codes("old", {"codes": LISTS})
    new = add_codes("new", {"codes": pa.array([[3, 3]])}, append_to="old", ids=["b"])
    assert (new.items_with_vector, new.code_counts) == (4, (3, 3))
    add("vectors", {"7": [1.0, 2.0]})
    with pytest.raises(ConfigError, match="'vectors' holds vectors"):
        add_codes("mixed", {"codes": LISTS}, append_to="vectors")
    with pytest.raises(ConfigError, match="'old' holds codes"):
        add("mixed", {"7": [1.0, 2.0]}, append_to="old")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"code": [0, -1, 2, -3]}, r"2 items have negative codes: a \(\[-1\]\), zz"),
        ({"code": pa.array([0, None, 2, 3])}, "null.*: a;"),
        ({"codes": pa.array([[0], None, [1], [2]])}, "null.*: a;"),
        ({"codes": pa.array([[0], [None], [1], [2]])}, "null.*: a;"),
        ({"codes": pa.array([[0], [1, 2], [1], [2]])}, "a .2 numbers"),
        ({"a": [0, 1, 2, 3], "b": [0, 1, 2, 3]}, r"ambiguous .* a \(int64\), b \(int64\)"),
        ({"code": [0.0, 1.0, 2.0, 3.0]}, r"code \(double\)"),
        ({"codes": LISTS, "others": LISTS}, r"ambiguous .* codes .* others"),
        (
            {"code": pa.array([0, 1 << 63, 2, 3], pa.uint64())},
            "does not fit into 64 bits: .* 9223372036854775808",
        ),
    ],
)
def test_unclear_codes_are_refused(add_codes, workspace, columns, message):
    with pytest.raises(DataError, match=message):
        add_codes("rq", columns)
    assert not embeddings.names(workspace, "tiny")


def test_the_column_can_be_named(add_codes, workspace):
    add_codes("rq", {"year": [1, 2, 3, 4], "code": [0, 1, 2, 3]}, column="code")
    assert _rows(workspace, "rq") == {"7": [0], "a": [1], "99": [2]}


def test_another_format_is_refused(workspace, log, tmp_path):
    np.save(tmp_path / "codes.npy", np.zeros((4, 2), int))
    source = embeddings.Source(tmp_path / "codes.npy", codes=True)
    with pytest.raises(ConfigError, match=r"codes.npy: codes are read from .parquet"):
        embeddings.add_version(workspace, log, RAW_IDS, "rq", source, None, True)


def test_who_requires_vectors_refuses_codes(add_codes, workspace):
    add_codes("rq", {"codes": LISTS})
    with pytest.raises(ConfigError, match="'rq' of 'tiny' holds codes"):
        embeddings.open_version(workspace, "tiny", "rq")


def _table(items: int = 400) -> EmbeddingTable:
    rng = np.random.default_rng(0)
    has = rng.random(items + 1) < 0.8
    has[0] = False
    codes = np.column_stack([rng.integers(0, 4, items + 1) ** 2, rng.integers(0, 9, items + 1)])
    codes[~has] = 0
    return EmbeddingTable(codes, has)


def test_shuffled_permutes_the_codes_of_items():
    table, made = _table(), controls.apply(Control(kind="shuffled"), _table(), 0)
    given, new = (sorted(map(tuple, one.vectors[one.has_vector])) for one in (table, made))
    assert given == new
    assert (made.vectors != table.vectors).any()
    assert not made.vectors[~made.has_vector].any()


def test_random_draws_the_codes_of_each_level_with_their_frequencies():
    table, made = _table(20_000), controls.apply(Control(kind="random"), _table(20_000), 0)
    for level in range(2):
        given, new = (
            np.bincount(one.vectors[one.has_vector, level], minlength=10) / one.has_vector.sum()
            for one in (table, made)
        )
        assert set(np.flatnonzero(given)) == set(np.flatnonzero(new))
        np.testing.assert_allclose(new, given, atol=0.015)
    assert (made.vectors[made.has_vector] == table.vectors[made.has_vector]).mean() < 0.3
    other = controls.apply(Control(kind="random"), table, 1)
    assert table_hash(other) != table_hash(made)
    assert not made.vectors[~made.has_vector].any()


def test_constant_gives_all_items_the_same_codes():
    table = _table()
    made = controls.apply(Control(kind="constant"), table, 0)
    (one,) = np.unique(made.vectors[made.has_vector], axis=0)
    assert (one == table.vectors[table.has_vector]).all(axis=1).any()
    assert not made.vectors[~made.has_vector].any()
