import numpy as np
import pytest

from ctrbench.errors import StoreError
from ctrbench.packs import PackedCell, Packs, write_pack
from ctrbench.runner.cell import failed_record
from ctrbench.store import DatasetSummary, Store
from ctrbench.workspace import Workspace
from tests.benchmark import matrix

KEYS: tuple[str, ...] = (
    "test/auc",
    "test/auc/items",
    "test/auc_x",
    "a/test/auc",
    "a/impressions",
)


def test_cells_are_read_back_rounded(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"test/gauc": rng.normal(0, 1e-4, 50), "test/worth": np.array([123.0])}
    cells = [PackedCell("a", '{"x": 1}', arrays), PackedCell("b", "{}", {})]
    write_pack(tmp_path / "m.parquet", cells, {"dataset": 7})
    packs = Packs(tmp_path)
    assert packs.record("a") == (tmp_path / "m.parquet", '{"x": 1}')
    assert packs.record("c") is None
    found = packs.influence("a")
    assert found["test/worth"] == [123]
    largest = np.abs(arrays["test/gauc"]).max()
    np.testing.assert_allclose(found["test/gauc"], arrays["test/gauc"], 2**-11, largest * 2**-24)
    assert packs.influence("b") == packs.influence("c") == {}
    assert list(packs.facts()) == [(tmp_path / "m.parquet", {"dataset": 7})]
    write_pack(tmp_path / "again/m.parquet", [PackedCell("a", "{}", found)], {})
    again = Packs(tmp_path / "again").influence("a")
    assert {key: values.tobytes() for key, values in again.items()} == {
        key: values.tobytes() for key, values in found.items()
    }


def test_file_that_is_no_pack_is_an_error(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"m\.parquet is damaged"):
        Packs(tmp_path).record("a")


def test_missing_folder_has_no_packs(tmp_path):
    assert Packs(tmp_path / "none").record("a") is None


@pytest.fixture
def packed(workspace, tmp_path):
    """Return a workspace with only the pack of another workspace, that workspace and its cells."""
    made = matrix(workspace)
    cells = list(made.cells())[:3]
    store = Store(workspace)
    for number, cell in enumerate(cells[:2]):
        influence = dict.fromkeys(KEYS, np.ones(3))
        store.update(failed_record(cell, f"why {number}", {}), influence)
    store.write_summary(DatasetSummary(manifest=made.dataset, reference=None))
    for manifest in made.versions.values():
        store.write_version(manifest)
    elsewhere = Workspace(tmp_path / "elsewhere")
    count = store.pack(elsewhere.results / "published/m.parquet", cells, "taste", {"test/auc"})
    assert count == 2
    return elsewhere, store, cells


def test_pack_replaces_the_files_of_its_cells(packed):
    elsewhere, store, cells = packed
    there = Store(elsewhere)
    assert [there.read(cell) for cell in cells] == [store.read(cell) for cell in cells]
    assert list(there.records("taste")) == [store.read(cell) for cell in cells[:2]]
    found = there.influence(cells[0])
    assert list(found) == ["test/auc", "test/auc/items", "a/impressions"]
    assert found["test/auc"].tolist() == [1, 1, 1]
    assert there.read_summary("taste") == store.read_summary("taste")
    version = next(cell.version for cell in cells if cell.version)
    assert there.read_version("taste", version) == store.read_version("taste", version)
    assert there.read_summary("other") is there.read_version("taste", "other") is None


def test_record_file_takes_precedence_over_a_packed_record(packed):
    elsewhere, _, cells = packed
    there = Store(elsewhere)
    newer = failed_record(cells[0], "newer", {})
    there.update(newer)
    assert there.read(cells[0]) == newer
    assert [record.reason for record in there.records("taste")] == ["newer", "why 1"]


def test_packing_a_matrix_without_records_is_an_error(workspace, tmp_path):
    cells = list(matrix(workspace).cells())
    with pytest.raises(StoreError, match="no cell of the matrix is stored"):
        Store(Workspace(tmp_path)).pack(tmp_path / "m.parquet", cells, "taste", ())
