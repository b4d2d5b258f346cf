import fsspec
import pytest

from ctrbench.datasets._remote import find_everywhere
from ctrbench.datasets.table import TableImporter
from ctrbench.errors import ConfigError, DataError
from ctrbench.workspace import Workspace
from tests.datasets.imports import run
from tests.impressions.logs import long_log


@pytest.fixture
def memory():
    """An empty file system in memory."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def text(rows):
    lines = [list(rows[0]), *(row.values() for row in rows)]
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


def test_a_remote_folder_gives_the_same_as_a_local_one(tmp_path, memory):
    rows = long_log()
    parts = {"day=1/a.csv": text(rows[:30]), "day=2/b.csv": text(rows[30:]), "_SUCCESS": ""}
    for name, content in parts.items():
        memory.pipe_file(f"/log/{name}", content.encode())
        (tmp_path / "log" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / name).write_text(content)
    memory.pipe_file("/items.csv", b"item_id,price\n1,0.5\n2,1.5\n")
    (tmp_path / "items.csv").write_bytes(memory.cat_file("/items.csv"))
    workspace = Workspace(tmp_path / "home")
    hashes = {
        run(workspace, TableImporter([log], items=items), name=f"n{i}").content_hash
        for i, (log, items) in enumerate(
            [
                ("memory://log", "memory://items.csv"),
                ("memory://log/*", "memory://items.csv"),
                (f"file://{tmp_path}/log", f"file://{tmp_path}/items.csv"),
                (f"{tmp_path}/log", f"{tmp_path}/items.csv"),
            ]
        )
    }
    assert len(hashes) == 1


def test_messages_name_the_url(tmp_path, memory):
    memory.pipe_file("/log/a.csv", text([{"item_id": 1}]).encode())
    memory.pipe_file("/log/b.csv", b"a,a\n1,2\n")
    workspace = Workspace(tmp_path / "home")
    for url in ("memory://log/a.csv", "memory://log/b.csv"):
        with pytest.raises(DataError, match=url):
            run(workspace, TableImporter([url]))
    with pytest.raises(DataError, match="memory://gone"):
        find_everywhere("memory://gone.csv", tmp_path)
    with pytest.raises(DataError, match="matches memory://gone"):
        find_everywhere("memory://gone/*.csv", tmp_path)


def test_a_file_system_without_its_driver(tmp_path, monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"s3://bucket/log.*s3fs"):
        find_everywhere("s3://bucket/log", tmp_path)


def test_an_unknown_file_system(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        find_everywhere("nowhere://log", tmp_path)


def test_a_file_that_does_not_exist(tmp_path, memory):
    with pytest.raises(DataError) as error:
        find_everywhere("memory://log/gone.csv", tmp_path)
    assert str(error.value) == "no file matches memory://log/gone.csv. Check the address."


def test_files_of_a_remote_delta_table_may_be_removed_ones(tmp_path, memory):
    memory.pipe_file("/log/_delta_log/0.json", b"{}")
    memory.pipe_file("/log/day=1/a.csv", text(long_log()).encode())
    note = (
        "memory://log is a Delta table, whose files may be removed ones (tombstones). Give the "
        "folder itself, so that the log of the table chooses its files."
    )
    for url in ("memory://log/*/*.csv", "memory://log/day=1", "memory://log/day=1/a.csv"):
        (part,), notes = find_everywhere(url, tmp_path)
        assert notes == [note]
        assert part.partitions == {"day": "1"}
