import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.datasets.pixelrec import INFO, PixelRec
from ctrbench.embeddings import open_version
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions, raw_item_ids, vocabulary
from ctrbench.impressions.columns import strings
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

START = 1_600_000_000
SLOTS = 6  # interactions per user


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def rows():
    return [
        [f"i{(5 * user + step) % 30}", f"u{user}", START + 100 * step + user]
        for user in range(8)
        for step in range(SLOTS)
    ]


def write(path, header, made):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *made])
    return path


@pytest.fixture
def interactions(tmp_path):
    return write(tmp_path / "Pixel200K.csv", ["item_id", "user_id", "timestamp"], rows())


def test_leave_one_out(workspace, interactions):
    manifest = run(workspace, PixelRec(interactions, negatives=2))
    sizes = {name: stop - start for name, (start, stop) in manifest.periods.items()}
    assert sizes == {"train": 8 * 4 * 3, "valid": 8 * 3, "test": 8 * 3}
    log = open_impressions(workspace, "log")
    start, stop = manifest.periods["test"]
    assert set(log.timestamp[start:stop] - START) == {100 * (SLOTS - 1) + user for user in range(8)}
    assert any("leave-one-out" in note for note in manifest.notes)
    assert any("sampled" in note for note in manifest.notes)


def test_another_split(workspace, interactions):
    manifest = run(workspace, PixelRec(interactions), "time:50/25/25")
    assert str(manifest.split).startswith("time")
    assert not any("leave-one-out" in note for note in manifest.notes)


def test_milliseconds_become_seconds(workspace, interactions):
    made = [[item, user, 1000 * time] for item, user, time in rows()]
    write(interactions, ["item_id", "user_id", "timestamp"], made)
    run(workspace, PixelRec(interactions))
    assert open_impressions(workspace, "log").timestamp.min() == START


def test_items(workspace, interactions, tmp_path):
    made = [
        [f"i{at}", *[100 + at] * 7, f'Title, "{at}"', f"tag{at % 2}", "one\ntwo, three"]
        for at in range(1, 40)
    ]
    info = write(tmp_path / "item_info.csv", INFO, made)
    manifest = run(workspace, PixelRec(interactions, item_info=info))
    ids = raw_item_ids(workspace, "log")
    assert len(ids) == 30  # i30 to i39 are not in this size
    titles = list(strings(workspace.data / "log" / "items.parquet", "title"))
    assert dict(zip(ids, titles, strict=True))["i7"] == 'Title, "7"'
    described = list(strings(workspace.data / "log" / "items.parquet", "description"))
    assert described[1] == "one\ntwo, three"
    assert vocabulary(workspace, "log", "tag") == ["tag0", "tag1"]
    assert {field.name for field in manifest.fields} == {"tag", "title", "description"}
    assert manifest.counts["items_unlisted"] == 1  # i0
    assert any("whole period" in note for note in manifest.notes)


def test_vectors_follow_first_appearances(workspace, interactions, tmp_path):
    shuffled = sorted(rows(), key=lambda row: (row[2] * 7) % 11)
    write(interactions, ["item_id", "user_id", "timestamp"], shuffled)
    order = list(dict.fromkeys(item for item, *_ in shuffled))
    numbers = [0, *(int(item[1:]) for item in order)]
    np.save(tmp_path / "RN50.npy", np.array(numbers, np.float32)[:, None] * np.ones(3, np.float32))
    arguments = ["--interactions", str(interactions), "--rn50", str(tmp_path / "RN50.npy")]
    command = ["--home", str(workspace.home), "datasets", "import", "pixelrec", *arguments]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    vectors = open_version(workspace, "pixelrec", "rn50").vectors
    ids = raw_item_ids(workspace, "pixelrec")
    assert {f"i{int(vector[0])}" for vector in vectors[1:]} == set(ids)
    assert all(f"i{int(one[0])}" == item for one, item in zip(vectors[1:], ids, strict=True))


def test_vectors_of_another_size_and_pickles_are_refused(workspace, interactions, tmp_path):
    path = tmp_path / "RN50.npy"
    np.save(path, np.ones((30, 4), np.float32))  # 30 items, without padding
    with pytest.raises(DataError, match=r"\(30, 4\), expected 31 rows"):
        run(workspace, PixelRec(interactions, rn50=path))
    np.save(path, np.array([{"i1": 1}] * 31), allow_pickle=True)
    with pytest.raises(DataError, match="Pickled data"):
        run(workspace, PixelRec(interactions, rn50=path))


def test_mistakes(workspace, interactions):
    swapped = [[user, item, time] for item, user, time in rows()]
    write(interactions, ["item_id", "user_id", "timestamp"], swapped)
    with pytest.raises(DataError, match="swapped"):
        run(workspace, PixelRec(interactions))
    write(interactions, ["user", "item", "timestamp"], swapped)
    with pytest.raises(DataError, match=r"(?s)found:    user, item.*expected: item_id, user_id"):
        run(workspace, PixelRec(interactions))
