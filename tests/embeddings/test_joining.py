import numpy as np
import pytest

from ctrbench import arrays, embeddings
from ctrbench.errors import DataError, UnknownNameError

from .conftest import RAW_IDS

ROWS = {"99": [1.0, 2.0], "a": [3.0, 4.0], "7": [5.0, 6.0], "zz": [0.0, 1.0], "12": [0.5, -1.0]}


def test_joined_by_id_not_by_row(add, workspace):
    manifest, _ = add("raw", ROWS)
    table = embeddings.open_version(workspace, "tiny", "raw")
    for item_id, raw in enumerate(RAW_IDS, start=1):
        np.testing.assert_array_equal(table.vectors[item_id], ROWS.get(raw, [0, 0]))
        assert table.has_vector[item_id] == (raw in ROWS)
    assert (manifest.items_with_vector, manifest.unmatched_ids) == (4, 1)
    assert manifest.unmatched_examples == ("zz",)


def test_permuted_rows_and_blocks_give_identical_bytes(add, workspace, monkeypatch):
    first, _ = add("raw", ROWS)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 1)  # one row per block
    second, _ = add("permuted", dict(reversed(ROWS.items())))
    assert first.content_hash == second.content_hash
    files = [workspace.embeddings / "tiny" / name / "vectors.npy" for name in ("raw", "permuted")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_zero_vector_is_missing(add, workspace, dtype):
    tiny = 6e-8 if dtype == "float16" else 2e-38
    manifest, _ = add("raw", {**ROWS, "b": [0, 0], "0042": [-0.0, 0], "12": [tiny, 0]}, dtype=dtype)
    table = embeddings.open_version(workspace, "tiny", "raw")
    has = [raw for raw, one in zip(RAW_IDS, table.has_vector[1:], strict=True) if one]
    assert has == ["7", "12", "a", "99"]
    assert (manifest.items_with_vector, manifest.zero_vectors) == (4, 2)
    assert not table.vectors[~table.has_vector].any()


@pytest.mark.parametrize(
    ("dtype", "tiny"), [("float32", 1e-40), ("float64", 1e-50), ("float64", 5e-324)]
)
def test_a_vector_too_short_for_float32_is_not_a_zero_vector(add, workspace, dtype, tiny):
    message = "2 vector.* 1.2e-38 .*: ids 12, zz"
    rows = {**ROWS, "12": [tiny, 0], "zz": [-tiny, tiny], "b": [0, 0]}
    with pytest.raises(DataError, match=message):
        add("raw", rows, dtype=dtype)
    assert not embeddings.names(workspace, "tiny")


def test_a_file_of_zero_vectors(add, workspace):
    _refused(add, workspace, {"7": [0, 0], "b": [0, 0]}, "'raw' has only zero vectors (2)")


def test_a_zero_vector_can_be_filled_in_later(add):
    add("old", {"7": [0, 0], "a": [1, 2]})
    new, _ = add("new", {"7": [3, 4]}, append_to="old")
    assert (new.items_with_vector, new.zero_vectors) == (2, 0)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("float16", "float16"), ("float32", "float32"), ("float64", "float32"), (">f4", "float32")],
)
def test_type_is_kept(add, workspace, given, stored):
    manifest, _ = add("raw", ROWS, dtype=given)
    assert manifest.dtype == stored
    assert embeddings.open_version(workspace, "tiny", "raw").vectors.dtype == stored


def _refused(add, workspace, rows, *patterns, ids=None, dtype=np.float32, **options):
    with pytest.raises(DataError) as error:
        add("raw", rows, dtype=dtype, **options)
    assert all(pattern in str(error.value) for pattern in patterns), error.value
    assert not (workspace.embeddings / "tiny" / "raw").exists()


def test_all_problems_at_once(add, workspace):
    rows = {"x": [np.nan, 0], "y": [0, np.inf], "z": [1e39, 0]}
    _refused(
        add,
        workspace,
        rows,
        "2 vector(s) with NaN, infinite or missing numbers: ids x, y",
        "1 vector(s) that do not fit into float32: ids z",
        "'tiny'",
        "'x', 'y', 'z'",
        "'7', '12', 'a'",
        dtype=np.float64,
    )
    assert not list(workspace.home.rglob("*"))


def test_only_five_ids_are_shown(add, workspace):
    _refused(
        add, workspace, {str(i): [np.nan] for i in range(9)}, "9 vector(s)", "ids 0, 1, 2, 3, 4, …"
    )


def test_integers_are_refused(add, workspace):
    _refused(add, workspace, ROWS, "of type int64; allowed: float16", dtype=np.int64)


def _add_file(workspace, log, tmp_path, ids, vectors, append_to=None, version="raw"):
    path = tmp_path / "file.npz"
    np.savez(path, key=np.array(ids), value=np.array(vectors, np.float32))
    source = embeddings.Source(path)
    return embeddings.add_version(workspace, log, RAW_IDS, version, source, append_to, True)


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_equal_duplicates_are_merged(workspace, log, tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", block_bytes)
    ids, vectors = ["7", "a", "7", "7"], [[1, 2], [3, 4], [1, 2], [1, 2]]
    manifest, _ = _add_file(workspace, log, tmp_path, ids, vectors)
    assert manifest.provenance["merged_duplicates"] == 2
    assert manifest.items_with_vector == 2


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_contradictory_duplicates(workspace, log, tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", block_bytes)
    ids, vectors = ["7", "a", "7", "a"], [[1, 2], [3, 4], [1, 3], [3, 4]]
    with pytest.raises(DataError, match=r"1 row.*: ids 7"):
        _add_file(workspace, log, tmp_path, ids, vectors)


def test_append_keeps_old_vectors_and_adds_new_ones(add, workspace):
    old, _ = add("monday", {"7": [1, 2], "a": [3, 4]})
    new, _ = add("tuesday", {"a": [3, 4], "b": [5, 6]}, append_to="monday")
    table = embeddings.open_version(workspace, "tiny", "tuesday")
    np.testing.assert_array_equal(table.vectors[[1, 3, 4]], [[1, 2], [3, 4], [5, 6]])
    assert new.provenance["appended_to_hash"] == old.content_hash
    assert (new.provenance["merged_duplicates"], new.items_with_vector) == (1, 3)
    assert embeddings.read_manifest(workspace, "tiny", "monday") == old


def test_append_of_a_wider_type_keeps_all_digits(add, workspace):
    add("half", {"7": [0.1]}, dtype=np.float16)
    add("both", {"a": [0.1]}, append_to="half")
    table = embeddings.open_version(workspace, "tiny", "both")
    assert table.vectors[1, 0] == np.float16(0.1)
    assert table.vectors[3, 0] == np.float32(0.1)


def test_append_may_not_change_a_vector(add, workspace):
    add("old", {"7": [1, 2]})
    message = "1 row(s) with another vector than in old"
    _refused(add, workspace, {"7": [1, 3]}, message, append_to="old")


def test_append_of_another_width(add, workspace):
    add("old", {"7": [1, 2]})
    message = "have 3 numbers"
    _refused(add, workspace, {"a": [1, 3, 4]}, message, append_to="old")


def test_append_to_an_unknown_version(add):
    with pytest.raises(UnknownNameError, match="'old'"):
        add("raw", {"7": [1]}, append_to="old")


def test_too_few_test_impressions_have_a_vector(add, workspace):
    message = (
        r"only 0.0 % of the test impressions, 75.0 % of all impressions, 50.0 % of the items .*"
        r"1 of 4 ids .*'b.png' \(nearest item: 'b'\)"
    )
    rows = {"7": [1], "12": [2], "a": [3], "b.png": [4]}
    with pytest.raises(DataError, match=message):
        add("raw", rows, low=False)
    assert not list(workspace.home.rglob("*"))
    assert add("raw", rows)[0].items_with_vector == 3


def test_coverage_is_checked_after_appending(add):
    add("old", {"b": [1]})
    assert add("new", {"zz": [1], "7": [2]}, append_to="old", low=False)[0].items_with_vector == 2


def test_zero_vectors_do_not_count_as_coverage(add):
    with pytest.raises(DataError, match=r"only 0.0 % .* --allow-low-coverage"):
        add("raw", {"7": [1], "b": [0]}, low=False)


def _add_ids(workspace, log, tmp_path, ids, numeric, raw_ids=RAW_IDS, low=True):
    np.savez(tmp_path / "ids.npz", key=np.array(ids), value=np.ones((len(ids), 2), np.float32))
    source = embeddings.Source(tmp_path / "ids.npz", numeric_ids=numeric)
    return embeddings.add_version(workspace, log, raw_ids, "raw", source, None, low)[0]


def test_ids_match_as_numbers_only_on_request(workspace, log, tmp_path):
    ids = ["42", "0007", "12.0", "-99", "a"]  # the data set has 7, 12, a, b, 0042, 99
    made = _add_ids(workspace, log, tmp_path, ids, numeric=True)
    assert (made.items_with_vector, made.unmatched_examples) == (4, ("-99",))
    assert made.provenance["numeric_ids"] is True
    embeddings.remove_version(workspace, "tiny", "raw")
    made = _add_ids(workspace, log, tmp_path, ids, numeric=False)
    assert (made.items_with_vector, made.unmatched_ids) == (1, 4)


def test_items_that_are_equal_as_numbers(workspace, log, tmp_path):
    with pytest.raises(DataError, match="'7' and '07'"):
        _add_ids(workspace, log, tmp_path, ["7"], True, ["7", "12", "07", "b", "0042", "99"])


def test_a_low_match_shows_ids_of_both_sides(workspace, log, tmp_path):
    message = r"'007'.*; the data set has '7', '12', 'a', 'b', '0042'.*--numeric-ids.*--allow-low"
    with pytest.raises(DataError, match=message):
        _add_ids(workspace, log, tmp_path, ["007", "12"], False, low=False)
    with pytest.raises(DataError, match=r"'x'.* '7', '12', 'a', 'b', '0042'") as error:
        _add_ids(workspace, log, tmp_path, ["x"], False)
    assert "--numeric-ids" not in str(error.value)
