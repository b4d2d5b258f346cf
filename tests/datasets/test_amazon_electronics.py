import pytest

from ctrbench.datasets.amazon_electronics import AmazonElectronics
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions, raw_item_ids, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

HEADER = "label,user_id,item_id,cate_id,item_history,cate_history"
USERS, ITEMS, REVIEWS = 6, 12, 5


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def rows(part):
    """Per user and review from the second on, a click and a non-click; the last is the test."""
    made = []
    for user in range(USERS):
        items = [(user + step) % ITEMS for step in range(REVIEWS)]
        for place in range(1, REVIEWS):
            if (part == "test") != (place == REVIEWS - 1):
                continue
            history = "^".join(map(str, items[:place]))
            categories = "^".join(str(item % 3) for item in items[:place])
            for click, item in ((1, items[place]), (0, (items[place] + 7) % ITEMS)):
                made.append(f"{click},{user},{item},{item % 3},{history},{categories}")
    return made


def write(folder, part, made, header=HEADER):
    folder.mkdir(exist_ok=True)
    (folder / f"{part}.csv").write_text("\n".join([header, *made]) + "\n")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "AmazonElectronics_x1"
    for part in ("train", "test"):
        write(folder, part, rows(part))
    return folder


def test_item_0_is_real(workspace, source):
    manifest = run(workspace, AmazonElectronics(source))
    assert raw_item_ids(workspace, "log") == [str(item) for item in range(ITEMS)]
    assert manifest.history == "given"
    log = open_impressions(workspace, "log")
    lists = [
        log.history_items[start : start + length].tolist()
        for start, length in zip(log.history_start, log.history_length, strict=True)
    ]
    assert [1] in lists  # the history "0" of user 0, whose dense id is 1
    assert [1, 2, 3, 4] in lists  # whole and oldest first


def test_periods_do_not_divide_pairs(workspace, source):
    manifest = run(workspace, AmazonElectronics(source))
    log = open_impressions(workspace, "log")
    for name, pairs in {"train": 2, "valid": 1, "test": 1}.items():
        start, stop = manifest.periods[name]
        assert stop - start == 2 * pairs * USERS
        assert log.click[start:stop].sum() == pairs * USERS
    start, stop = manifest.periods["valid"]
    assert set(log.history_length[start:stop]) == {REVIEWS - 2}
    assert any("BARS" in note for note in manifest.notes)
    assert any("share of pairs" in note for note in manifest.notes)
    assert any("baseline only" in note for note in manifest.notes)
    assert any("non-click per click" in note for note in manifest.notes)


def test_categories_of_items(workspace, source):
    manifest = run(workspace, AmazonElectronics(source))
    assert [field.name for field in manifest.fields] == ["cate_id"]
    assert vocabulary(workspace, "log", "cate_id") == ["0", "1", "2"]


def test_mistakes(workspace, source):
    write(source, "train", [*rows("train"), "1,7,3,0,1^2,0"])
    with pytest.raises(DataError, match=r"'cate_history'.*line 38"):
        run(workspace, AmazonElectronics(source))
    write(source, "train", [*rows("train"), "1,7,3,0,1|2,0|1"])
    with pytest.raises(DataError, match=r"'history'.*1\|2"):
        run(workspace, AmazonElectronics(source))
    write(source, "train", [*rows("train"), "1,7,3,5,1,0"])
    with pytest.raises(DataError, match=r"several different rows, such as 3"):
        run(workspace, AmazonElectronics(source))
    write(source, "train", rows("train"), HEADER.replace("label", "click"))
    with pytest.raises(DataError, match=rf"(?s)expected: {HEADER.replace(',', ', ')}"):
        run(workspace, AmazonElectronics(source))
