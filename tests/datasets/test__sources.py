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
