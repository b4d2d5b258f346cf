import duckdb
import pytest

from ctrbench.errors import DataError, StoreError
from ctrbench.importing import database
from ctrbench.importing.database import scalar
from ctrbench.workspace import Workspace


def test_nothing_is_left_behind(tmp_path):
    with database(Workspace(tmp_path)) as connection:
        assert scalar(connection, "SELECT 1 + 1") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.TransactionException])
def test_a_full_disk_is_told(tmp_path, kind):
    with (
        pytest.raises(StoreError, match=r"Could not write.*nothing was changed"),
        database(Workspace(tmp_path)),
    ):
        raise kind("IO Error: Could not write file: No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_turns_out_damaged(tmp_path):
    with (
        pytest.raises(DataError, match=r'^Failed to read file "a": Snappy: the file is damaged'),
        database(Workspace(tmp_path)),
    ):
        raise duckdb.InvalidInputException('Invalid Input Error: Failed to read file "a": Snappy')


def test_our_own_mistakes_keep_their_traceback(tmp_path):
    with pytest.raises(duckdb.CatalogException), database(Workspace(tmp_path)) as connection:
        connection.execute("FROM nowhere")
