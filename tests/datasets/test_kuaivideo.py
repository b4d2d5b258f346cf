import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctrbench import embeddings
from ctrbench.api.datasets import import_log
from ctrbench.cli.main import app
from ctrbench.datasets._video_logs import Histories, Layout
from ctrbench.datasets.kuaivideo import KuaiVideo
from ctrbench.errors import ConfigError, DataError
from ctrbench.importing import build, database
from ctrbench.impressions import check, names, open_impressions, raw_item_ids
from ctrbench.workspace import Workspace
from tests.datasets.imports import lines, run
from tests.impressions.logs import rows_of

HEADER = "timestamp,user_id,item_id,is_click,is_like,is_follow,pos_items,neg_items"
FIRST = 2  # stands for 100: the publisher keeps the first clicks, and the cell then freezes


def rows(user, start, stop, clicked):
    """Rows of a user at times start, start + 10, ...; item 0 is real, every second is clicked."""
    found = []
    for k in range(start, stop):
        past = "^".join(map(str, clicked[:FIRST]))
        click = int(k % 2 == 0)
        found.append(f"{10 * k},{user},{k - start},{click},{click},0,{past},7^8")
        clicked += [k - start] * click
    return found


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def x1(tmp_path):
    folder = tmp_path / "KuaiVideo_x1"
    clicked = {1: [], 2: []}
    train = [*rows(1, 0, 20, clicked[1]), *rows(2, 4, 24, clicked[2])]
    test = [*rows(1, 24, 30, clicked[1]), *rows(2, 24, 30, clicked[2])]
    for name, part in (("train", train), ("test", test)):
        ordered = sorted(part, key=lambda line: int(line.split(",")[0]))
        lines(folder / f"{name}.csv", "\n".join([HEADER, *ordered]))
    return folder


def test_histories_are_rebuilt_and_do_not_freeze(workspace, x1):
    manifest = run(workspace, KuaiVideo(x1))
    histories = {words[5] for words in rows_of(workspace) if words[:2] == ("test", "1")}
    assert histories == {tuple(str(item) for item in range(0, 20, 2))}  # 10 clicks, from item 0
    assert manifest.history == "derived"
    assert set(manifest.periods) == {"train", "valid", "test"}
    assert manifest.periods["test"] == (40, 52)
    assert any("ctrbench never does" in note for note in manifest.notes)


def test_given_histories_behind_a_switch(workspace, x1):
    manifest = run(workspace, KuaiVideo(x1, histories=Histories.given))
    assert manifest.history == "given"
    histories = {words[5] for words in rows_of(workspace) if words[:2] == ("test", "1")}
    assert histories == {("0", "2")}
    assert any("first 100 clicks" in note for note in manifest.notes)


def test_outcomes_are_no_fields(workspace, x1):
    manifest = run(workspace, KuaiVideo(x1))
    assert manifest.fields == ()
    assert any("is_like and is_follow" in note for note in manifest.notes)


def test_times_are_an_order(workspace, x1):
    run(workspace, KuaiVideo(x1))
    times = open_impressions(workspace, "log").timestamp
    assert times is not None
    assert sorted(set(times.tolist())) == list(range(1, 31))


def test_a_user_whose_test_is_older_than_train_is_refused(workspace, x1):
    text = (x1 / "test.csv").read_text().replace("240,1,", "185,1,")
    (x1 / "test.csv").write_text(text)
    with pytest.raises(DataError, match="1 user has rows of test that are older"):
        run(workspace, KuaiVideo(x1))
    assert run(workspace, KuaiVideo(x1, histories=Histories.given)).history == "given"


def test_a_leak_across_users_is_noted(workspace, x1):
    text = (x1 / "test.csv").read_text().replace("240,1,", "215,1,")
    (x1 / "test.csv").write_text(text)
    manifest = run(workspace, KuaiVideo(x1))
    assert any("future popularity leaks" in note for note in manifest.notes)


def test_another_header_is_printed(workspace, x1):
    text = (x1 / "train.csv").read_text().replace("is_follow", "follow")
    (x1 / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"(?s)lacks is_follow.*found: .*follow.*expected: "):
        run(workspace, KuaiVideo(x1))


def test_wrong_times_name_their_line(workspace, x1):
    text = (x1 / "train.csv").read_text().replace("\n0,1,", "\nnever,1,", 1)
    (x1 / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"'timestamp' are not numbers: line 2 \(never\)"):
        run(workspace, KuaiVideo(x1))


def test_vectors_of_items_are_a_version_those_of_users_are_not(workspace, x1):
    for name in ("item_visual_emb_dim64.h5", "user_visual_emb_dim64.h5"):
        (x1 / name).write_bytes(b"\x89HDF")
    with database(workspace) as connection:
        raw = KuaiVideo(x1).read(connection, None, lambda _: None)
    assert [version.source.vectors.name for version in raw.versions] == ["item_visual_emb_dim64.h5"]


@pytest.fixture
def x2(tmp_path):
    """Two users (row 0 is a real one) and items 1 to 6; row 0 of items is padding."""
    folder = tmp_path / "KuaiVideo_x2"
    folder.mkdir()
    sequences = [[3, 1, 2], [6, 5, 4, 3]]
    for name, start in (("train", 0), ("valid", 2), ("test", 3)):
        found = [
            {"user_index": u, "item_index": 1 + k, "seq_len": min(start, 3), "is_click": k % 2}
            for u in range(2)
            for k in range(6)
        ]
        pq.write_table(pa.Table.from_pylist(found), folder / f"{name}.parquet")
    pq.write_table(pa.table({"full_item_seq": sequences}), folder / "user_info.parquet")
    items = {"item_id": [0, 1, 1, 2, 3, 4, 5], "image_emb_dim64": [[i, 1.0] for i in range(7)]}
    pq.write_table(pa.table(items), folder / "item_info.parquet")
    return folder


def test_x2_histories_are_prefixes_that_are_stored_once(workspace, x2):
    manifest = run(workspace, KuaiVideo(x2))
    found = {(words[0], words[1]): words[5] for words in rows_of(workspace)}
    assert found == {
        ("train", "0"): (),
        ("train", "1"): (),
        ("valid", "0"): ("3", "1"),
        ("valid", "1"): ("6", "5"),
        ("test", "0"): ("3", "1", "2"),
        ("test", "1"): ("6", "5", "4"),
    }
    assert manifest.counts["history_items"] == 7
    assert manifest.counts["items"] == 6  # without the padding
    assert {f.name: f.size for f in manifest.fields} == {"merged_item_id": 5}


def test_x2_guards_warn_of_clicks_of_the_same_period(workspace, x2):
    run(workspace, KuaiVideo(x2))
    outcomes = {guard.name: guard.outcome for guard in check(workspace, "log")}
    assert "error" not in outcomes.values()
    assert outcomes["history strictly before"] == "warning"


def test_x2_vectors_are_joined_by_row_number(workspace, x2):
    with database(workspace) as connection:
        raw = KuaiVideo(x2).read(connection, None, lambda _: None)
        build(workspace, "log", raw)
        (version,) = raw.versions
        log, raw_ids = open_impressions(workspace, "log"), raw_item_ids(workspace, "log")
        embeddings.add_version(workspace, log, raw_ids, version.name, version.source)
    table = embeddings.open_version(workspace, "log", "thumbnail64")
    assert [table.vectors[1 + raw_ids.index(str(i))].tolist() for i in (1, 6)] == [[1, 1], [6, 1]]


def command(workspace, folder):
    words = ["--home", str(workspace.home), "datasets", "import", "kuaivideo", "--source", folder]
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_command_adds_the_vectors_of_x2(workspace, x2):
    assert "added thumbnail64 of kuaivideo: 6 vectors of width 2" in command(workspace, x2)
    again = command(workspace, x2)
    assert "already exists with the same content: thumbnail64 of kuaivideo" in again


def test_one_command_adds_the_vectors_of_x1(workspace, x1):
    h5py = pytest.importorskip("h5py")
    with h5py.File(x1 / "item_visual_emb_dim64.h5", "w") as file:
        file["key"], file["value"] = [*range(20)], [[float(i), 1.0] for i in range(20)]
    assert "added thumbnail64 of kuaivideo: 20 vectors of width 2" in command(workspace, x1)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("item_index", 0, r"'item_index' are no rows 1 to 6 of item_info.parquet: row 1 \(0\)"),
        ("user_index", 2, r"'user_index' are no rows 0 to 1 of user_info.parquet"),
        ("seq_len", 9, r"test.parquet: 1 value.* 'seq_len' .at most 9. .* in user_info.parquet"),
    ],
)
def test_x2_files_that_do_not_belong_together(workspace, x2, column, value, message):
    found = pq.read_table(x2 / "test.parquet").to_pylist()
    found[0][column] = value
    pq.write_table(pa.Table.from_pylist(found), x2 / "test.parquet")
    with pytest.raises(DataError, match=message):
        run(workspace, KuaiVideo(x2))


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (None, r"item_info.parquet: 1 value.* are missing or contain no finite numbers: row 5"),
        ([None, 1.0], "are missing or contain no finite numbers: row 5"),
        ([1.0], r"item_info.parquet: 1 value.* differ from the first in width \(2\): row 5"),
    ],
)
def test_x2_vectors_are_checked_before_the_import(workspace, x2, vector, message):
    items = pq.read_table(x2 / "item_info.parquet").to_pylist()
    items[0]["image_emb_dim64"] = None  # padding
    items[5]["image_emb_dim64"] = vector
    pq.write_table(pa.Table.from_pylist(items), x2 / "item_info.parquet")
    with pytest.raises(DataError, match=message):
        run(workspace, KuaiVideo(x2))
    assert names(workspace) == []


def test_x2_errors_about_vectors_name_the_official_file(workspace, x2):
    items = pq.read_table(x2 / "item_info.parquet").to_pylist()
    items[5]["image_emb_dim64"] = [1e-42, 1e-42]
    pq.write_table(pa.Table.from_pylist(items), x2 / "item_info.parquet")
    with pytest.raises(DataError, match=r"(?s)^\S*KuaiVideo_x2/item_info.parquet:.*thumbnail64"):
        import_log("kuaivideo", {"source": x2}, progress=False, workspace=workspace)


def test_x2_padding_in_lists_is_refused(workspace, x2):
    pq.write_table(pa.table({"full_item_seq": [[0, 1, 2], [6]]}), x2 / "user_info.parquet")
    with pytest.raises(DataError, match=r"user_info.*no rows 1 to 6 of item_info.parquet: row 1"):
        run(workspace, KuaiVideo(x2))


def test_both_layouts_need_a_choice(workspace, x1, x2):
    for path in x2.iterdir():
        path.rename(x1 / path.name)
    with pytest.raises(ConfigError, match="--layout x1 or x2"):
        run(workspace, KuaiVideo(x1))
    assert run(workspace, KuaiVideo(x1, layout=Layout.x2)).counts["users"] == 2


def test_x2_has_its_own_histories(workspace, x2):
    with pytest.raises(ConfigError, match="--histories belongs to layout x1"):
        run(workspace, KuaiVideo(x2, histories=Histories.given))
