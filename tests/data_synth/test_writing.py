import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ctrbench.embeddings import open_version
from ctrbench.errors import ConfigError, StoreError
from ctrbench.impressions import items_with_image, open_impressions, raw_item_ids
from ctrbench.workspace import Workspace
from data_synth import WorldConfig, clicks, write_world, writing
from data_synth.plan import Plan
from data_synth.vectors import oracle, with_image
from data_synth.world import KINDS, make_world

SMALL = WorldConfig(users=50, items=40, impressions=3_000, seed=1)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Make the log have twelve parts instead of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clicks, "BLOCK", 1 << 8)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    write_world(SMALL, folder, pictures=64)
    return folder


def _tree(folder: Path) -> dict[str, str]:
    """Return a hash of every file; manifests are hashed without their creation time."""
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        if file.name == "manifest.json":
            facts = json.loads(content)
            content = json.dumps({k: v for k, v in facts.items() if k != "created"}).encode()
        found[str(file.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def test_a_world_is_a_workspace(home):
    data = open_impressions(Workspace(home), "taste")
    assert len(data.click) == 3_000
    assert list(data.manifest.periods) == ["pretrain", "train", "valid", "test"]
    assert data.manifest.counts["items"] == 40
    assert {field.name for field in data.manifest.fields} == {
        *("category", "source", "price", "position")
    }
    assert "strength of style 0.35" in data.manifest.notes[0]
    assert items_with_image(Workspace(home), "taste").sum() == len(with_image(make_world(SMALL)))


def test_truth_has_the_rows_of_the_data_set_in_order(home):
    data = open_impressions(Workspace(home), "taste")
    parts = sorted((home / "truth/taste").glob("log-*.parquet"))
    truth = pq.read_table(parts)
    assert len(parts) == 12
    np.testing.assert_array_equal(truth["timestamp"], data.timestamp)
    np.testing.assert_array_equal(truth["item_id"], data.item_id)
    np.testing.assert_array_equal(truth["click"], data.click)
    np.testing.assert_array_equal(truth["p_true"], data.p_true)
    users = np.unique(truth["user_id"])
    np.testing.assert_array_equal(truth["user_id"], users[data.user_id - 1])


def test_probabilities_are_not_fields(home):
    data = open_impressions(Workspace(home), "taste")
    assert list(data.context_fields) == ["position"]
    assert not data.user_fields


def test_versions_are_joined_to_their_items(home):
    workspace, world = Workspace(home), make_world(SMALL)
    table = open_version(workspace, "taste", "oracle")
    rows = [int(raw) - 1 for raw in raw_item_ids(workspace, "taste")]
    has_image = np.isin(rows, with_image(world))
    np.testing.assert_array_equal(table.has_vector[1:], has_image)
    expected = oracle(world)[rows] * has_image[:, None]
    np.testing.assert_array_equal(table.vectors[1:], expected)


def test_versions_from_pictures_are_joined_to_their_items(home):
    from data_synth.vectors import from_pictures

    table = open_version(Workspace(home), "taste", "histogram")
    expected = from_pictures(home / "pictures/taste.parquet")["histogram"]
    np.testing.assert_array_equal(table.vectors[with_image(make_world(SMALL)) + 1], expected)


def test_bytes_do_not_depend_on_the_number_of_workers(home, tmp_path):
    write_world(SMALL, tmp_path, pictures=64, workers=3)
    for part in ("truth", "data", "embeddings", "pictures"):
        assert _tree(tmp_path / part) == _tree(home / part)


def test_finished_world_is_not_changed(home):
    before = _tree(home)
    write_world(SMALL, home, pictures=64)
    assert _tree(home) == before


@pytest.mark.parametrize("last", ["pictures", "data set: dividing into periods", "versions"])
def test_interrupted_command_resumes_to_the_same_bytes(home, tmp_path, last):
    class InterruptedRunError(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if what == last:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        write_world(SMALL, tmp_path, pictures=64, progress=stop)
    write_world(SMALL, tmp_path, pictures=64)
    for part in ("truth", "data", "embeddings", "pictures"):
        assert _tree(tmp_path / part) == _tree(home / part)


def test_missing_part_of_the_log_is_made_again(home, tmp_path):
    shutil.copytree(home / "truth", tmp_path / "truth")
    for name in ("log-00004.parquet", "log-00009.parquet", "attainable.json"):
        (tmp_path / "truth/taste" / name).unlink()
    write_world(SMALL, tmp_path, pictures=64)
    assert _tree(tmp_path / "truth") == _tree(home / "truth")


def test_one_workspace_contains_every_kind_of_world(tmp_path):
    for kind in KINDS:
        written = write_world(WorldConfig(kind, 50, 40, 3_000), tmp_path)
        assert written.dataset.name == kind
        assert ("source" in written.versions) == (kind == "spurious")
    config = json.loads((tmp_path / "truth/null/world.json").read_bytes())
    assert config["strength"] == 0


@pytest.mark.parametrize(
    ("other", "pictures", "message"),
    [
        (WorldConfig(users=50, items=40, impressions=3_000, seed=2), 64, "seed is 1, not 2"),
        (SMALL, 0, "pictures is 64, not 0"),
    ],
)
def test_another_world_of_the_same_kind_is_rejected(home, other, pictures, message):
    before = _tree(home)
    with pytest.raises(ConfigError, match=rf"another world 'taste' \({message}\)"):
        write_world(other, home, pictures)
    assert _tree(home) == before


def test_data_set_of_the_same_name_is_not_overwritten(home, tmp_path):
    write_world(WorldConfig("null", 50, 40, 3_000), tmp_path)
    (tmp_path / "data/null").rename(tmp_path / "data/taste")
    before = _tree(tmp_path)
    with pytest.raises(ConfigError, match="data set 'taste'"):
        write_world(SMALL, tmp_path)
    assert _tree(tmp_path) == before


@pytest.mark.parametrize(
    ("config", "pictures", "workers", "message"),
    [
        (WorldConfig(users=0), 0, 1, "users is 0"),
        (SMALL, 100, 1, "100 pixels .* 64, 224"),
        (SMALL, 0, 0, "workers is 0"),
    ],
)
def test_invalid_world_writes_nothing(tmp_path, config, pictures, workers, message):
    with pytest.raises(ConfigError, match=message):
        write_world(config, tmp_path / "new", pictures, workers)
    assert list(tmp_path.iterdir()) == []


def test_insufficient_disk_space_is_an_error_before_writing(tmp_path, monkeypatch):
    huge = Plan(disk_bytes=1e18, peak_disk_bytes=1e18, memory_bytes=0, seconds=0)
    monkeypatch.setattr(writing, "make_plan", lambda *_: huge)
    with pytest.raises(StoreError, match=r"1000000000.0 GB"):
        write_world(SMALL, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_file_instead_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="/file"):
        write_world(SMALL, tmp_path / "file")
