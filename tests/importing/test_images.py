import pyarrow as pa
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
        (lambda f: [(f / "3.jpg").unlink(), (f / "deep" / "1.PNG").unlink()], "found: 99.jpg"),
        (lambda f: [(f / n).write_bytes(b"") for n in ("3.jpg", "deep/1.PNG")], "found: 3.jpg"),
        (lambda f: f.rename(f.with_name("moved")), "no image folder"),
    ],
)
def test_unsuitable_folders(tmp_path, folder, change, message):
    change(folder)
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path / "home"), long_log(), images=folder)


@pytest.mark.parametrize("ending", [".gif", ".BMP", ".tiff", ".avif"])
def test_pictures_of_every_supported_extension(tmp_path, folder, ending):
    (folder / f"2{ending}").write_bytes(b"two")
    manifest = build_log(Workspace(tmp_path / "home"), long_log(), images=folder)
    assert manifest.counts["images"] == 3
    assert not manifest.notes


def test_empty_files_and_other_extensions_are_noted_and_skipped(tmp_path, folder):
    (folder / "2.jpg").write_bytes(b"")
    (folder / "1.jpg").write_bytes(b"")  # the item has another picture
    (folder / "4.heic").write_bytes(b"four")
    (folder / "3.json").write_text("{}")  # its item has a picture
    workspace = Workspace(tmp_path / "home")
    manifest = build_log(workspace, long_log(), images=folder)
    assert manifest.counts["images"] == 2
    assert manifest.notes == (
        "Image files left out: 2 empty (1.jpg, 2.jpg).",
        "Image files left out: 1 with an unsupported extension (4.heic).",
    )
    assert items_with_image(workspace, "log").nonzero()[0].tolist() == [2, 4]
    (folder / "4.heic").unlink()
    again = build_log(workspace, long_log(), images=folder)  # notes are not compared
    assert again == manifest.model_copy(update={"notes": manifest.notes[:1]})


def _parquet(path, item_ids, pictures):
    pq.write_table(pa.table({"item_id": item_ids, "bytes": pictures}), path)
    return path


@pytest.mark.parametrize("as_text", [True, False])
def test_images_as_one_file(tmp_path, as_text):
    ids = ["3", "99", "1"] if as_text else [3, 99, 1]
    file = _parquet(tmp_path / "images.parquet", ids, [b"three", b"other", b"one"])
    workspace = Workspace(tmp_path / "home")
    manifest = build_log(workspace, long_log(), images=file)
    table = pq.read_table(workspace.data / "log" / "images.parquet").to_pydict()
    assert table == {"item_id": [2, 4], "file": ["1.jpg", "3.jpg"], "bytes": [b"one", b"three"]}
    counts = {key: manifest.counts[key] for key in ("images", "image_bytes", "images_unmatched")}
    assert counts == {"images": 2, "image_bytes": 8, "images_unmatched": 1}


@pytest.mark.parametrize(
    ("item_ids", "pictures", "message"),
    [
        (["98", "99"], [b"x", b"y"], "no item_id matches"),
        (["1", "1"], [b"x", b"y"], "item 1 "),
        (["1", "2"], [b"", None], "empty"),
    ],
)
def test_unsuitable_files(tmp_path, item_ids, pictures, message):
    file = _parquet(tmp_path / "images.parquet", item_ids, pictures)
    with pytest.raises(DataError, match=message):
        build_log(Workspace(tmp_path / "home"), long_log(), images=file)
    assert not (tmp_path / "home" / "data").exists()


def test_empty_images_in_a_file_are_noted_and_skipped(tmp_path):
    file = _parquet(
        tmp_path / "images.parquet", ["3", "1", "2", "1"], [b"three", b"one", b"", None]
    )
    workspace = Workspace(tmp_path / "home")
    manifest = build_log(workspace, long_log(), images=file)
    assert manifest.counts["images"] == 2
    assert manifest.notes == ("Image files left out: 2 empty (1.jpg, 2.jpg).",)
    table = pq.read_table(workspace.data / "log" / "images.parquet").to_pydict()
    assert table["bytes"] == [b"one", b"three"]


def test_a_file_of_images_requires_its_columns(tmp_path):
    pq.write_table(pa.table({"item_id": ["1"]}), tmp_path / "images.parquet")
    with pytest.raises(DataError, match="column bytes"):
        build_log(Workspace(tmp_path / "home"), long_log(), images=tmp_path / "images.parquet")


def test_a_file_that_is_not_parquet(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"images\.zip "):
        build_log(Workspace(tmp_path / "home"), long_log(), images=tmp_path / "images.zip")
