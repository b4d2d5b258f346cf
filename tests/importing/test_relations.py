import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._tables import read_table
from ctrbench.errors import DataError, StoreError
from ctrbench.importing import database, make_table, relations
from ctrbench.importing.relations import fill_table, one_row
from ctrbench.workspace import Workspace


def test_temporary_files_are_removed(tmp_path):
    with database(Workspace(tmp_path)) as connection:
        assert one_row(connection, "SELECT 1 + 1") == (2,)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.TransactionException])
def test_a_full_disk_is_reported(tmp_path, kind):
    with (
        pytest.raises(StoreError, match=r"Could not write.*nothing was changed"),
        database(Workspace(tmp_path)),
    ):
        raise kind("IO Error: Could not write file: No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_damage_found_while_reading_rows(tmp_path):
    with (
        pytest.raises(DataError, match=r'^Failed to read file "a": Snappy: the file is damaged'),
        database(Workspace(tmp_path)),
    ):
        raise duckdb.InvalidInputException('Invalid Input Error: Failed to read file "a": Snappy')


def test_bugs_keep_their_traceback(tmp_path):
    with pytest.raises(duckdb.CatalogException), database(Workspace(tmp_path)) as connection:
        connection.execute("FROM nowhere")


def test_relations_of_one_name_are_distinct(tmp_path):
    with database(Workspace(tmp_path)) as connection:
        one, two = (make_table(connection, "n", f"SELECT {n} AS n") for n in (1, 2))
        assert (one.one_row("n"), two.one_row("n")) == ((1,), (2,))
        assert one.columns == {"n": "INTEGER"}
        one.drop()
        with pytest.raises(duckdb.CatalogException):
            one.one_row("n")


def test_a_table_is_filled_from_parts_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(relations, "PART", 2048)
    with database(Workspace(tmp_path)) as connection:
        numbers = make_table(connection, "numbers", "SELECT range AS n FROM range(5000)")
        parts = ((n * 2,) for (n,) in numbers.parts("n"))
        doubled = fill_table(connection, "doubled", {"n": "BIGINT"}, parts)
        found = np.concatenate([n for (n,) in doubled.parts("n")])
    np.testing.assert_array_equal(found, 2 * np.arange(5000))


@pytest.fixture
def one_row_group(tmp_path, monkeypatch):
    """A Parquet file whose only row group is larger than the memory of queries."""
    monkeypatch.setattr(relations, "QUERY_BYTES", 32_000_000)
    numbers = np.random.default_rng(0).integers(0, 2**62, 5_000_000)
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"a": numbers}), path, row_group_size=len(numbers))
    return path, int((numbers % 7).sum())


def test_large_row_groups_raise_the_memory_limit(tmp_path, one_row_group):
    path, total = one_row_group
    with database(Workspace(tmp_path / "home")) as connection:
        table = read_table(connection, path)
        assert one_row(connection, f"SELECT sum(a % 7) FROM {table.relation}") == (total,)


def test_a_query_without_enough_memory_names_the_remedy(tmp_path, one_row_group):
    path, _ = one_row_group
    with (
        pytest.raises(DataError, match=r"exceed their memory limit .*row groups of 100,000"),
        database(Workspace(tmp_path / "home")) as connection,
    ):
        one_row(connection, f"SELECT sum(a % 7) FROM read_parquet('{path}')")
