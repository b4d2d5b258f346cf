import pyarrow.parquet as pq
import pytest

from ctrbench.errors import DataError
from ctrbench.impressions import items_with_image
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    (folder / "3.jpg").write_bytes(b"three")
    (folder / "deep" / "1.PNG").write_bytes(b"one")
    (folder / "99.jpg").write_bytes(b"other")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_images_are_stored_by_item(tmp_path, folder):
    workspace = Workspace(tmp_path / "home")
    manifest = build_log(workspace, long_log(), images=folder)
    table = pq.read_table(workspace.data / "log" / "images.parquet").to_pydict()
    assert table == {"item_id": [2, 4], "file": ["1.PNG", "3.jpg"], "bytes": [b"one", b"three"]}
    counts = {key: manifest.counts[key] for key in ("images", "image_bytes", "images_unmatched")}
    assert counts == {"images": 2, "image_bytes": 8, "images_unmatched": 1}
    assert items_with_image(workspace, "log").nonzero()[0].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "1.jpg").write_bytes(b"x"), "1.PNG and 1.jpg|1.jpg and 1.PNG"),
        (lambda f: (f / "2.jpg").write_bytes(b""), r"1 empty file\(s\), the first 2.jpg"),
        (lambda f: [(f / "3.jpg").unlink(), (f / "deep" / "1.PNG").unlink()], "there is 99.jpg"),
        (lambda f: f.rename(f.with_name("moved")), "no image folder"),
    ],
)
def test_unsuitable_folders(tmp_path, folder, change, message):
    change(folder)
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path / "home"), long_log(), images=folder)
