import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.datasets.microlens import CutBy, MicroLens
from ctrbench.embeddings import open_version
from ctrbench.errors import ConfigError, DataError
from ctrbench.impressions import open_impressions, raw_item_ids, read_manifest, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import run

WIDTHS = {"txt_emb_BERT": 6, "img_emb_CLIPRN50": 4}
ITEMS = 8  # ids 1 to 8


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def rows(users, label=True):
    """Per user one click and three non-clicks, with a history padded on the left."""
    made = []
    for user in users:
        clicked = 1 + user % ITEMS
        before = [1 + (user + step) % ITEMS for step in range(1, 1 + user % 4)]
        for step in range(4):
            one = {
                "user_id": user,
                "item_seq": [0] * (6 - len(before)) + before,
                "item_id": 1 + (clicked - 1 + step) % ITEMS,
                "likes_level": step,
                "views_level": 10,
            }
            made.append(one | ({"label": int(step == 0)} if label else {}))
    return made


def write(path, made, lists=pa.list_, groups=None):
    types = {"item_seq": lists(pa.int64()), "likes_level": pa.int32()}
    names = list(made[0])
    schema = pa.schema([(name, types.get(name, pa.int64())) for name in names])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(made, schema=schema), path, row_group_size=groups)


@pytest.fixture(params=["list", "large_list", "fixed_size_list"])
def lists(request):
    kinds = {
        "list": lambda kind: pa.list_(kind),
        "large_list": lambda kind: pa.large_list(kind),
        "fixed_size_list": lambda kind: pa.list_(kind, 6),
    }
    return kinds[request.param]


@pytest.fixture
def source(tmp_path):
    return make(tmp_path)


def make(tmp_path, lists=pa.list_, groups=None):
    """The official folder."""
    folder = tmp_path / "data" / "MicroLens_1M_x1"
    write(folder / "train.parquet", rows(range(1, 101)), lists, groups)
    write(folder / "valid.parquet", rows([101]), lists)
    write(folder / "test.parquet", rows([102], label=False), lists)
    info = {
        "item_id": list(range(ITEMS + 1)),
        "item_tags": [[0] * 5] + [[0, 0, 0, item, 50] for item in range(1, ITEMS + 1)],
        "item_emb_d128": [[float(item)] * 128 for item in range(ITEMS + 1)],
    }
    pq.write_table(pa.table(info), folder / "item_info.parquet")
    features = {
        "item_id": list(range(1, ITEMS + 1)),
        "item_title": [f"Video, {item}" for item in range(1, ITEMS + 1)],
        "likes_level": [1] * ITEMS,
        "views_level": [1] * ITEMS,
    }
    features |= {
        name: [[float(item)] * width for item in range(1, ITEMS + 1)]
        for name, width in WIDTHS.items()
    }
    pq.write_table(pa.table(features), folder.parent / "item_feature.parquet")
    seq = {"user_id": [1, 1], "item_seq": [[0, 1], [1, 2]]}
    pq.write_table(pa.table(seq), folder.parent / "item_seq.parquet")
    return folder.parent


def test_every_kind_of_list(workspace, tmp_path, lists):
    manifest = run(workspace, MicroLens(make(tmp_path, lists)))
    assert manifest.counts["impressions"] == 400  # valid.parquet and test.parquet are not used
    assert manifest.counts["clicks"] == 100
    assert manifest.history == "given"
    assert raw_item_ids(workspace, "log") == [str(item) for item in range(1, ITEMS + 1)]


def test_padding_is_no_item_and_order_stays(workspace, source):
    run(workspace, MicroLens(source))
    log = open_impressions(workspace, "log")
    ids = ["0", *raw_item_ids(workspace, "log")]
    lengths = [len(history(log, row, ids)) for row in range(len(log.user_id))]
    assert set(lengths) == {0, 1, 2, 3}
    row = lengths.index(3)
    user = int(log.user_id[row])  # users are 1 to 100, so dense ids are raw ids
    assert history(log, row, ids) == [str(1 + (user + step) % ITEMS) for step in (1, 2, 3)]


def history(log, row, ids):
    start, length = log.history_start[row], log.history_length[row]
    return [ids[item] for item in log.history_items[start : start + length]]


def test_the_split_is_that_of_mmctr_bench(workspace, tmp_path):
    source = make(tmp_path, groups=7)  # row groups do not change the order of rows
    manifest = run(workspace, MicroLens(source))
    part = np.array([0] * 320 + [1] * 40 + [2] * 40, np.uint8)
    np.random.RandomState(42).shuffle(part)
    expected = [row for row, one in zip(rows(range(1, 101)), part, strict=True) if one == 2]
    log = open_impressions(workspace, "log")
    start, stop = manifest.periods["test"]
    assert (start, stop) == (360, 400)
    found = zip(
        log.user_id[start:stop], log.item_id[start:stop], log.click[start:stop], strict=True
    )
    assert [tuple(map(int, one)) for one in found] == [
        (row["user_id"], row["item_id"], row["label"]) for row in expected
    ]
    assert any("MMCTR-Bench" in note for note in manifest.notes)
    assert any("three per click" in note for note in manifest.notes)


def test_users_stay_together(workspace, source):
    manifest = run(workspace, MicroLens(source, cut=CutBy.users))
    log = open_impressions(workspace, "log")
    users = [set(log.user_id[start:stop]) for start, stop in manifest.periods.values()]
    assert sum(map(len, users)) == 100


def test_a_labelled_test_is_the_test(workspace, source):
    write(source / "MicroLens_1M_x1" / "test.parquet", rows([102, 103]))
    manifest = run(workspace, MicroLens(source))
    sizes = {name: stop - start for name, (start, stop) in manifest.periods.items()}
    assert sizes == {"train": 400, "valid": 4, "test": 8}


def test_a_test_of_one_class_is_unlabelled(workspace, source):
    test = [row | {"label": 0} for row in rows([102, 103])]
    write(source / "MicroLens_1M_x1" / "test.parquet", test)
    assert run(workspace, MicroLens(source)).counts["impressions"] == 400


def test_fields(workspace, source):
    manifest = run(workspace, MicroLens(source))
    assert {field.name: field.kind for field in manifest.fields} == {
        "tags": "list",
        "title": "text",
    }
    assert vocabulary(workspace, "log", "tags") == [*map(str, range(1, ITEMS + 1)), "50"]
    assert any("later clicks included, and are excluded" in note for note in manifest.notes)


def test_levels_are_read_on_request(workspace, source):
    manifest = run(workspace, MicroLens(source, popularity=True))
    names = {field.name for field in manifest.fields if field.of == "context"}
    assert names == {"likes_level", "views_level"}


def test_image_vectors_are_those_of_images_alone(workspace, source):
    arguments = ["import", "microlens", "--source", str(source)]
    result = CliRunner().invoke(app, ["--home", str(workspace.home), "datasets", *arguments])
    assert result.exit_code == 0, result.output
    table = open_version(workspace, "microlens", "clip_rn50")
    assert table.vectors.shape == (ITEMS + 1, WIDTHS["img_emb_CLIPRN50"])
    assert table.vectors[3].tolist() == [3.0] * 4
    assert table.has_vector[1:].all()
    assert any("item_emb_d128" in note for note in read_manifest(workspace, "microlens").notes)


def test_covers_may_be_one_folder_deeper(workspace, source, tmp_path):
    folder = tmp_path / "item_images" / "item_images"
    folder.mkdir(parents=True)
    (folder / "3.jpg").write_bytes(b"picture")
    manifest = run(workspace, MicroLens(source, images=folder.parent))
    assert manifest.counts["images"] == 1


def test_without_item_feature_a_note_says_so(workspace, source):
    (source / "item_feature.parquet").unlink()
    manifest = run(workspace, MicroLens(source))
    assert any("no image vectors" in note for note in manifest.notes)


def test_mistakes(workspace, source, tmp_path):
    folder = source / "MicroLens_1M_x1"
    with pytest.raises(ConfigError, match=r"item_images\.rar"):
        run(workspace, MicroLens(source, images=tmp_path / "item_images.rar"))
    bad = [*rows(range(1, 9)), rows([9])[0] | {"item_id": 0}]
    write(folder / "train.parquet", bad)
    with pytest.raises(DataError, match=r"1 value\(s\) of 'item_id'.*row 33"):
        run(workspace, MicroLens(source))
    write(folder / "train.parquet", [{"userid": 1} | row for row in rows([1])])
    with pytest.raises(DataError) as raised:
        run(workspace, MicroLens(source))
    assert "userid" in str(raised.value)
    assert "user_id, item_seq, item_id, likes_level, views_level, label" in str(raised.value)
    (folder / "train.parquet").unlink()
    with pytest.raises(DataError, match=r"train\.parquet"):
        run(workspace, MicroLens(source))
