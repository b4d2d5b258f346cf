import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._tables import (
    Rule,
    broken_rules,
    missing_columns,
    read_table,
    refuse_empty,
    text,
)
from ctrbench.errors import DataError
from ctrbench.importing import database
from ctrbench.workspace import Workspace


@pytest.fixture
def connection(tmp_path):
    with database(Workspace(tmp_path / "home")) as connection:
        yield connection


def values(connection, table, column):
    query = f"SELECT {text(table, column)} FROM {table.relation}"
    return [value for (value,) in connection.execute(query).fetchall()]


def test_a_text_file_is_read_as_text(connection, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('\ufeffid,name\n007,"Café, ""x"""\n1.50,\n')
    table = read_table(connection, file)
    assert values(connection, table, "id") == ["007", "1.50"]
    assert values(connection, table, "name") == ['Café, "x"', None]


def test_only_the_columns_to_keep_are_stored(connection, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("id,long,click\n7,1^2^3,1\n")
    table = read_table(connection, file, keep=["click", "id", "absent"])
    assert list(table.types) == ["id", "click"]
    assert values(connection, table, "click") == ["1"]
    assert table.text_file is not None
    assert table.text_file.columns == ["id", "long", "click"]


def test_floats_that_are_whole_read_as_whole_numbers(connection, tmp_path):
    pq.write_table(pa.table({"id": [7.0, 1.5, float("nan"), None]}), tmp_path / "a.parquet")
    table = read_table(connection, tmp_path / "a.parquet")
    assert values(connection, table, "id") == ["7", "1.5", None, None]


def test_messages_contain_the_numbers_of_invalid_lines(connection, tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\nx\n3\n" + "y\n" * 9)
    table = read_table(connection, tmp_path / "a.csv")
    (problem,) = broken_rules(connection, table, [Rule("n", "n > '5'", "are too large")])
    assert " 10 " in problem
    assert problem.endswith(": line 3 (x), line 5 (y), line 6 (y), line 7 (y), line 8 (y)")
    assert broken_rules(connection, table, []) == []


def test_missing_columns_suggest_the_nearest(connection, tmp_path):
    (tmp_path / "a.csv").write_text("user,item_id\n1,2\n")
    table = read_table(connection, tmp_path / "a.csv")
    (problem,) = missing_columns(table, ["user_id", "item_id"])
    assert "no column 'user_id'" in problem
    assert "--rename user=user_id" in problem


LONG = b"a,b\n" + b"".join(b"%d,2\n" % (i * i) for i in range(20_000))
ZIPPED = gzip.compress(LONG)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b\n1,2\n3\n", "(?s)damaged or no csv file.*Line: 3.*Columns: 2 Found: 1"),
        ("a.csv", b"a,a\n1,2\n", "once, .* a .*twice"),
        ("a.csv", b"a,\n1,2\n", "once, .*empty"),
        ("a.csv", LONG + "1,café\n".encode("latin-1"), "not utf-8"),
        ("a.csv", "é,b\n1,2\n".encode("latin-1"), "UTF-8"),
        ("a.csv.gz", ZIPPED[:-1000], "damaged"),
        ("a.csv.gz", b"a,b\n1,2\n", "damaged"),
        ("a.parquet", b"PAR1 and no more", "damaged or no parquet file"),
        ("a.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "damaged or no parquet file"),
        ("a.xlsx", b"x", r"\.xlsx\b.*\.csv"),
        ("a", b"x", "without an extension"),
    ],
)
def test_unsuitable_files(connection, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(connection, tmp_path / name)


def test_a_file_without_rows(connection, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n")
    with pytest.raises(DataError, match=r"a\.csv .*no rows"):
        refuse_empty(read_table(connection, tmp_path / "a.csv"))


def test_a_truncated_parquet_file(connection, tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match="damaged or no parquet file"):
        read_table(connection, file)


def test_a_missing_file(connection, tmp_path):
    (tmp_path / "clicks.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"no file .*click\.csv\. Did you mean .*clicks\.csv"):
        read_table(connection, tmp_path / "click.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(connection, tmp_path)
