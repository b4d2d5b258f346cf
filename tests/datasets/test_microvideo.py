import pytest

from ctrbench.datasets._video_logs import Histories
from ctrbench.datasets.microvideo import MicroVideo
from ctrbench.errors import DataError
from ctrbench.importing import database
from ctrbench.impressions import open_impressions, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import lines, run
from tests.impressions.logs import rows_of

HEADER = "user_id,item_id,cate_id,is_click,timestamp,clicked_items,clicked_categories"
SHIFT = 984_983  # of items in test


def rows(user, start, stop, clicked, shift=0):
    """Rows of a user at times start, ...; item 0 is real, every second is clicked."""
    found = []
    for k in range(start, stop):
        item, click = shift + k % 20, int(k % 2 == 0)
        past, categories = "^".join(map(str, clicked)), "^".join("5" for _ in clicked)
        found.append(f"{user},{item},{item % 3},{click},{k},{past},{categories}")
        clicked += [item] * click * (not shift)  # in test they stay those of train
    return found


def write(folder, first):
    """Both files, whose timestamps begin at `first`; sorted by user and time as text."""
    clicked = {1: [], 2: []}
    for name, start, shift in (("train", first, 0), ("test", first + 20, SHIFT)):
        found = [
            line
            for user in (1, 2)
            for line in sorted(
                rows(user, start, start + 20, clicked[user], shift),
                key=lambda line: line.split(",")[4],
            )
        ]
        lines(folder / f"{name}.csv", "\n".join([HEADER, *found]))
    return folder


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def x1(tmp_path):
    return write(tmp_path / "MicroVideo1.7M_x1", 100)


def test_items_of_test_are_new_and_histories_are_those_of_train(workspace, x1):
    manifest = run(workspace, MicroVideo(x1))
    test = [words for words in rows_of(workspace) if words[0] == "test"]
    assert {int(words[2]) >= SHIFT for words in test} == {True}
    assert {words[5] for words in test} == {tuple(str(item) for item in range(0, 20, 2))}
    assert any("20 of 20 items of test do not occur in train" in n for n in manifest.notes)
    assert set(manifest.periods) == {"train", "valid", "test"}


def test_categories_describe_items(workspace, x1):
    manifest = run(workspace, MicroVideo(x1))
    assert [(f.name, f.of, f.size) for f in manifest.fields] == [("cate_id", "item", 3)]
    assert vocabulary(workspace, "log", "cate_id") == ["0", "1", "2"]  # 0 is real


def test_an_item_with_several_categories_is_counted(workspace, x1):
    text = (x1 / "train.csv").read_text().replace("\n1,0,0,", "\n1,0,9,", 1)
    (x1 / "train.csv").write_text(text)
    manifest = run(workspace, MicroVideo(x1))
    assert any("Items with several categories: 1;" in note for note in manifest.notes)


def test_times_that_were_sorted_as_text_are_sorted_as_numbers(workspace, tmp_path):
    folder = write(tmp_path / "x1", 90)  # 100 precedes 90 as text
    manifest = run(workspace, MicroVideo(folder))
    assert any("2 to 3 digits" in note for note in manifest.notes)
    times = open_impressions(workspace, "log").timestamp
    assert times is not None
    assert times.tolist()[:4] == [1, 1, 2, 2]
    test = [words for words in rows_of(workspace) if words[0] == "test"]
    assert test[0][5][:2] == ("10", "12")  # the clicks at 90 and 92


def test_given_histories_that_were_sorted_as_text_are_refused(workspace, tmp_path):
    folder = write(tmp_path / "x1", 90)
    with pytest.raises(DataError, match="2 to 3 digits"):
        run(workspace, MicroVideo(folder, histories=Histories.given))


def test_given_histories(workspace, x1):
    manifest = run(workspace, MicroVideo(x1, histories=Histories.given))
    assert manifest.history == "given"
    empty = next(words for words in rows_of(workspace) if words[:2] == ("train", "1"))
    assert empty[5] == ()  # an empty cell


def test_a_header_with_timestamp_last_is_another_file(workspace, x1):
    text = (x1 / "train.csv").read_text().replace("cate_id,", "").replace("timestamp,", "")
    (x1 / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"(?s)lacks cate_id, timestamp.*found.*expected"):
        run(workspace, MicroVideo(x1))


def test_vectors_name_the_look_ahead_of_their_pca(workspace, x1):
    (x1 / "item_image_emb_dim64.h5").write_bytes(b"\x89HDF")
    with database(workspace) as connection:
        raw = MicroVideo(x1).read(connection, None, lambda _: None)
    (version,) = raw.versions
    assert "fitted on items of train and test" in version.notes[0]
