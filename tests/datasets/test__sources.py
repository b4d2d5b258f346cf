import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench.datasets._sources import find_parts
from ctrbench.errors import DataError


def touch(folder, *names, content="a\n1\n"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def found(given):
    parts, notes = find_parts(str(given))
    return [(part.path.name, part.partitions) for part in parts], notes


def test_marker_files_of_spark_are_ignored(tmp_path):
    touch(tmp_path, "_SUCCESS", "_committed_1", ".part-0.csv.crc", "._part-1.csv", "part-1.csv")
    touch(tmp_path, "part-0.csv")
    assert found(tmp_path) == ([("part-0.csv", {}), ("part-1.csv", {})], [])


def test_ignored_files_are_noted(tmp_path):
    touch(tmp_path, "a.csv", "notes.txt")
    touch(tmp_path, "empty.csv", content="")
    parts, (note,) = found(tmp_path)
    assert parts == [("a.csv", {})]
    assert note.startswith("2 ")
    assert "notes.txt, empty.csv" in note


def test_an_empty_parquet_file_is_ignored(tmp_path):
    touch(tmp_path, "a.parquet", content="")
    assert found(tmp_path)[0] == [("a.parquet", {})]


def test_folders_of_hive(tmp_path):
    touch(tmp_path, "dt=2023-11-14/h=1/a.csv", "dt=2023-11-15/h=__HIVE_DEFAULT_PARTITION__/a.csv")
    touch(tmp_path, "dt=a%3Ab/b.csv", "images/1.jpg")
    assert found(tmp_path)[0] == [
        ("a.csv", {"dt": "2023-11-14", "h": "1"}),
        ("a.csv", {"dt": "2023-11-15", "h": None}),
        ("b.csv", {"dt": "a:b"}),
    ]


def test_folders_of_hive_in_the_path_itself(tmp_path):
    touch(tmp_path, "log/dt=1/h=2/a.csv", "log/dt=2/b.csv")
    assert found(tmp_path / "log" / "dt=1" / "h=2")[0] == [("a.csv", {"dt": "1", "h": "2"})]
    assert found(tmp_path / "log" / "dt=2" / "b.csv")[0] == [("b.csv", {"dt": "2"})]
    every = [("a.csv", {"dt": "1", "h": "2"}), ("b.csv", {"dt": "2"})]
    assert found(tmp_path / "log" / "dt=*")[0] == every


def test_other_folders_are_refused(tmp_path):
    touch(tmp_path, "2023/a.csv", "b.csv")
    with pytest.raises(DataError, match=r"2023.*column="):
        find_parts(str(tmp_path))


def test_patterns(tmp_path):
    touch(tmp_path, "2023/a.csv", "2024/b.csv", "2024/c.txt")
    assert [name for name, _ in found(tmp_path / "*" / "*.csv")[0]] == ["a.csv", "b.csv"]
    with pytest.raises(DataError, match="no file matches"):
        find_parts(str(tmp_path / "*.csv"))


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    touch(tmp_path, "b[1].csv", "b1.csv")
    assert found(tmp_path / "b[1].csv")[0] == [("b[1].csv", {})]


def commit(table, number, *actions):
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(action) + "\n" for action in actions)
    (log / f"{number:020d}.json").write_text(text)


def added(path, **values):
    return {"add": {"path": path, "partitionValues": values, "size": 1, "dataChange": True}}


@pytest.fixture
def delta(tmp_path):
    """A table of three files, of which the log removed one."""
    touch(tmp_path, "dt=1/a.parquet", "dt=2/b c.parquet", "old.parquet")
    commit(tmp_path, 0, added("old.parquet", dt="0"), {"protocol": {"minReaderVersion": 1}})
    new = [added("dt=1/a.parquet", dt="1"), added("dt=2/b%20c.parquet", dt=None)]
    commit(tmp_path, 1, {"remove": {"path": "old.parquet"}}, *new)
    return tmp_path


def test_a_delta_table_without_its_removed_files(delta):
    parts, (note,) = found(delta)
    assert parts == [("a.parquet", {"dt": "1"}), ("b c.parquet", {"dt": None})]
    assert "1 other" in note


def test_files_of_a_delta_table_without_its_log(delta):
    _, (note,) = found(delta / "dt=1" / "*.parquet")
    assert "tombstones" in note


def test_a_delta_table_from_its_checkpoint(delta):
    first = delta / "_delta_log" / f"{0:020d}.json"
    rows = [{"add": json.loads(first.read_text().splitlines()[0])["add"]}]
    kinds = pa.map_(pa.string(), pa.string())
    add = pa.struct({"path": pa.string(), "partitionValues": kinds})
    rows[0]["add"]["partitionValues"] = [("dt", "0")]
    table = pa.Table.from_pylist(rows, pa.schema({"add": add}))
    pq.write_table(table, delta / "_delta_log" / f"{0:020d}.checkpoint.parquet")
    first.unlink()
    assert len(found(delta)[0]) == 2
    (delta / "_delta_log" / f"{0:020d}.checkpoint.parquet").unlink()
    with pytest.raises(DataError, match="incomplete"):
        find_parts(str(delta))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"add": {"path": "old.parquet", "deletionVector": {"cardinality": 2}}}, "deletion"),
        ({"metaData": {"configuration": {"delta.columnMapping.mode": "name"}}}, "columns"),
        (added("gone.parquet"), "gone.parquet"),
        ({"add": 3}, "damaged"),
    ],
)
def test_delta_tables_that_plain_files_do_not_represent(delta, action, message):
    commit(delta, 2, action)
    with pytest.raises(DataError, match=message):
        find_parts(str(delta))
