import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ctrbench.embeddings import open_version
from ctrbench.errors import ConfigError, StoreError
from ctrbench.impressions import open_impressions, raw_item_ids
from ctrbench.workspace import Workspace
from data_synth import WorldConfig, write_world
from data_synth.vectors import oracle, with_image
from data_synth.world import make_world

SMALL = WorldConfig(users=50, items=40, impressions=3_000, seed=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    write_world(SMALL, folder)
    return folder


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_world_is_a_workspace(home):
    data = open_impressions(Workspace(home), "taste")
    assert len(data.click) == 3_000
    assert list(data.manifest.periods) == ["pretrain", "train", "valid", "test"]
    assert data.manifest.counts["items"] == 40
    assert [field.name for field in data.manifest.fields] == ["category"]
    assert "strength of style 0.35" in data.manifest.notes[0]


def test_truth_has_the_record_s_rows_and_order(home):
    data = open_impressions(Workspace(home), "taste")
    truth = pq.read_table(home / "truth" / "taste.parquet")
    np.testing.assert_array_equal(truth["timestamp"], data.timestamp)
    np.testing.assert_array_equal(truth["item_id"], data.item_id)
    p_true = truth["p_true"].to_numpy()
    assert abs(data.click.mean() - p_true.mean()) < 4 * np.sqrt(0.16 / 3_000)
    assert p_true[data.click == 1].mean() > p_true[data.click == 0].mean()


def test_probabilities_are_no_model_fields(home):
    data = open_impressions(Workspace(home), "taste")
    assert not data.context_fields
    assert not data.user_fields


def test_versions_are_joined_to_their_items(home):
    workspace, world = Workspace(home), make_world(SMALL)
    table = open_version(workspace, "taste", "oracle")
    rows = [int(raw) - 1 for raw in raw_item_ids(workspace, "taste")]
    has_image = np.isin(rows, with_image(world))
    np.testing.assert_array_equal(table.has_vector[1:], has_image)
    expected = oracle(world)[rows].astype(np.float32) * has_image[:, None]
    np.testing.assert_array_equal(table.vectors[1:], expected)


def test_written_twice_nothing_but_derived_files_changes(home, tmp_path):
    before = _tree(home / "data") | _tree(home / "embeddings") | _tree(home / "truth")
    write_world(SMALL, home)
    assert before == _tree(home / "data") | _tree(home / "embeddings") | _tree(home / "truth")
    write_world(SMALL, tmp_path)
    assert _tree(tmp_path / "truth") == _tree(home / "truth")


def test_two_kinds_of_world_stand_side_by_side(tmp_path):
    write_world(SMALL, tmp_path)
    written = write_world(WorldConfig("null", 50, 40, 3_000), tmp_path)
    assert written.dataset.name == "null"
    assert json.loads((tmp_path / "truth/null.json").read_bytes())["config"]["strength"] == 0


def test_another_world_of_the_same_kind_is_refused(home):
    before = _tree(home)
    with pytest.raises(ConfigError, match=r"another world 'taste' \(seed is 1, not 2\)"):
        write_world(WorldConfig(users=50, items=40, impressions=3_000, seed=2), home)
    assert _tree(home) == before


def test_impossible_world_writes_nothing(tmp_path):
    with pytest.raises(ConfigError, match="users is 0"):
        write_world(WorldConfig(users=0), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        write_world(SMALL, tmp_path / "file")
