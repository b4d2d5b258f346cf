import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctrbench import impressions as room
from ctrbench.cli.embeddings import app
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world


@pytest.fixture
def run(tmp_path, monkeypatch, impressions):
    """Call `embeddings …` on the tiny world, whose raw ids are i1, i2, …; gives the output."""
    raw_ids = [f"i{item}" for item in range(1, impressions.item_rows)]
    monkeypatch.setattr(room, "open_impressions", lambda *_: impressions)
    monkeypatch.setattr(room, "read_manifest", lambda *_: impressions.manifest)
    monkeypatch.setattr(room, "raw_item_ids", lambda *_: raw_ids)
    workspace = Workspace(tmp_path / "home")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "v.npz", key=[*raw_ids[5:], "x"], value=rng.normal(size=(36, 4)) + 1)

    def invoke(*arguments, code=0):
        words = [str(word).replace("DIR", str(tmp_path)) for word in arguments]
        result = CliRunner().invoke(app, words, obj=workspace)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def raw(run):
    return run("add", "raw", "--dataset", "tiny", "--vectors", "DIR/v.npz")


LOW = "--allow-low-coverage"


def test_add_prints_coverage_first(run, raw):
    first, second = raw.splitlines()[:2]
    shares = r"with a vector: \d\d\.\d % of the test impressions, \d\d\.\d % of all impressions, "
    assert re.fullmatch(shares + r"87\.5 % of the items", first)
    assert second.startswith("added raw")


def test_add_refuses_low_coverage(run, tmp_path):
    np.savez(tmp_path / "few.npz", key=["i1", "i2.0"], value=np.ones((2, 4), np.float32))
    add = "add", "few", "--dataset", "tiny", "--vectors", "DIR/few.npz"
    with pytest.raises(DataError, match=r"'i2.0' \(nearest item: 'i2'\).* --allow-low-coverage"):
        run(*add)
    assert "no embedding versions yet" in run("list")
    assert "'i2.0' (nearest item: 'i2')" in run(*add, LOW)
    assert "'i2.0' (nearest item: 'i2')" in run("show", "few", "--dataset", "tiny")


def test_add_prints_the_joined_ids(run, raw):
    assert "added raw of tiny: 35 vectors of width 4, float32" in raw
    assert "unmatched ids: 1 of the file that match no item of the data set, such as 'x'" in raw
    again = run("add", "raw", "--dataset", "tiny", "--vectors", "DIR/v.npz")
    assert "already exists with the same content: raw of tiny" in again


def test_append(run, raw, tmp_path):
    np.save(tmp_path / "new.npy", np.ones((2, 4), np.float32))
    (tmp_path / "ids.txt").write_text("i1\ni1\n")
    options = "--vectors", "DIR/new.npy", "--ids", "DIR/ids.txt", "--append-to", "raw"
    output = run("add", "more", "--dataset", "tiny", *options)
    assert "36 vectors" in output
    assert "rows that repeat a vector, merged: 1" in output
    assert "raw and new.npy, 2 rows" in run("list")


def test_add_one_of_several_columns(run, tmp_path):
    (tmp_path / "v.csv").write_text('item_id,a,b\ni1,"[1]","[2,3]"\n')
    options = "--dataset", "tiny", "--vectors", "DIR/v.csv"
    with pytest.raises(DataError, match="--vector-column a"):
        run("add", "b", *options)
    assert "1 vector of width 2" in run("add", "b", *options, "--column", "b", LOW)


def test_add_prints_notes_on_the_file(run, tmp_path):
    lists = pa.array([[127, 0], [0, 1]], pa.list_(pa.int8()))
    table = pa.table({"item_id": ["i1", "i2"], "title": ["a", "b"], "v": lists})
    pq.write_table(table, tmp_path / "v.parquet")
    for output in (
        run("add", "small", "--dataset", "tiny", "--vectors", "DIR/v.parquet", LOW),
        run("show", "small", "--dataset", "tiny"),
    ):
        assert "columns not used: title (string)" in output
        assert "int8 vectors are divided by 127" in output


def test_derive_and_list(run, raw):
    output = run("derive", "pca", "raw", "--as", "narrow", "--dataset", "tiny", "--width", 2)
    assert "raw by pca (width 2), fitted on 35 items of the pretrain period, keeps" in output
    lines = run("list", "--dataset", "tiny").splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["tiny", "narrow", "2", "float32", "35"],
        ["tiny", "raw", "4", "float32", "35"],
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("width",), "width"),
        (("=2",), "=2"),
        (("width=2", "--width", 2), "width"),
        (("no=1",), "no"),
    ],
)
def test_derive_refuses_settings(run, raw, words, name):
    with pytest.raises(ConfigError, match=rf"\b{name}\b|'{name}'"):
        run("derive", "pca", "raw", "--as", "narrow", "--dataset", "tiny", "--set", *words)


def test_list_of_nothing(run):
    assert "no embedding versions yet" in run("list")
    with pytest.raises(UnknownNameError, match="no data set 'other'"):
        run("list", "--dataset", "other")


def test_show(run, raw):
    output = run("show", "raw", "--dataset", "tiny")
    for words in ("35 of width 4, float32", "norms", "mean cosine", "no two items share", "87.5 %"):
        assert words in output
    assert "match no item of the data set, such as 'x'" in output
    periods = [line.split()[0] for line in output.splitlines()[-4:]]
    assert periods == ["pretrain", "train", "valid", "test"]


def test_show_names_unusual_vectors(run, tmp_path):
    value = np.array([[5, 1], [5, 1], [5, 1.1], [0, 0]], np.float32)
    np.savez(tmp_path / "odd.npz", key=["i1", "i2", "i3", "i4"], value=value)
    run("add", "odd", "--dataset", "tiny", "--vectors", "DIR/odd.npz", LOW)
    output = run("show", "odd", "--dataset", "tiny")
    assert "1.000: vectors share a large common direction; `ctrbench embeddings derive" in output
    assert "2 items share a vector with another (distinct vectors: 1, largest group: 2)" in output


def test_zero_vectors_are_printed(run, tmp_path):
    value = np.array([[5, 1], [0, 0], [0, 0], [1, 2]], np.float32)
    np.savez(tmp_path / "odd.npz", key=["i1", "i2", "i3", "i4"], value=value)
    note = "2, whose items count as items without a vector"
    assert note in run("add", "odd", "--dataset", "tiny", "--vectors", "DIR/odd.npz", LOW)
    assert note in run("show", "odd", "--dataset", "tiny")
    output = run("check", "odd", "--dataset", "tiny")
    assert "2 vectors are zero" in output


def test_one_vector(run, raw, tmp_path):
    np.savez(tmp_path / "one.npz", key=["i2"], value=np.ones((1, 4), np.float32))
    np.savez(tmp_path / "two.npz", key=["i3"], value=np.ones((1, 4), np.float32))
    for name in ("one", "two"):
        run("add", name, "--dataset", "tiny", "--vectors", f"DIR/{name}.npz", LOW)
    output = run("show", "one", "--dataset", "tiny")
    assert "1 of width 4" in output
    assert ["effective", "rank", "–"] in [line.split() for line in output.splitlines()]
    lines = [line.split() for line in run("quality", "--dataset", "tiny").splitlines()]
    assert ["one", "100.0", "%", "–", "–"] in lines  # shares no item with the others
    assert len([line for line in lines if line and line[0] == "raw"]) == 2


def test_check(run, raw, tmp_path):
    output = run("check", "raw", "--dataset", "tiny")
    assert "ok        content" in output
    assert "error" not in output
    path = tmp_path / "home" / "embeddings" / "tiny" / "raw" / "vectors.npy"
    np.save(path, np.load(path) + 1)
    assert "error     content" in run("check", "raw", "--dataset", "tiny", code=1)


def test_remove(run, raw):
    with pytest.raises(ConfigError, match="--yes"):
        run("remove", "raw", "--dataset", "tiny")
    assert "removed" in run("remove", "raw", "--dataset", "tiny", "--yes")
    with pytest.raises(UnknownNameError, match="'raw'"):
        run("show", "raw", "--dataset", "tiny")


@pytest.fixture
def both(run, tmp_path):
    """Add version `both` with an image and a text column of one table."""
    ids = [f"i{item}" for item in range(1, 41)]
    rng = np.random.default_rng(1)
    columns = {"a": rng.normal(size=(40, 4)), "b": rng.normal(size=(40, 3))}
    table = pa.table({"sku": ids, **{name: list(rows) for name, rows in columns.items()}})
    pq.write_table(table, tmp_path / "v.parquet")
    fields = "--field", "image=DIR/v.parquet", "--field", "text=DIR/v.parquet"
    named = "--vector-column", "image=a", "--vector-column", "text=b", "--ids-column", "sku"
    return run("add", "both", "--dataset", "tiny", *fields, *named)


def test_fields_of_one_table(run, both):
    assert "added both:image of tiny: 40 vectors of width 4" in both
    assert "added both:text of tiny: 40 vectors of width 3" in both
    lines = [line.split()[1:3] for line in run("list").splitlines()[1:]]
    assert lines == [["both:image", "4"], ["both:text", "3"]]


def test_commands_name_a_field(run, both):
    output = run("show", "both:text", "--dataset", "tiny")
    assert re.search(r"vector field +text", output)
    assert "of width 3" in output
    assert re.search(r"ok +content", run("check", "both:text", "--dataset", "tiny"))
    for command in ("show", "check", "quality"):
        with pytest.raises(ConfigError, match="both:image"):
            run(command, "both", "--dataset", "tiny")
    words = [line.split()[0] for line in run("quality", "--dataset", "tiny").splitlines() if line]
    assert words.count("both:image") == words.count("both:text") == 2
    output = run("derive", "center", "both:text", "--as", "flat", "--dataset", "tiny")
    assert "added flat of tiny" in output
    assert "made from: both:text by center" in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "either --vectors"),
        (("--vectors", "v.npy", "--field", "text=v.npy"), "either --vectors"),
        (("--field", "v.npy"), "'v.npy'.* NAME=FILE"),
        (("--field", "a=v.npy", "--field", "a=w.npy"), "a is given twice"),
        (("--field", "a=v.h5", "--key", "a=k", "--key", "a=l"), "--key is given 2 times for a"),
        (("--vectors", "v.npy", "--scale", "half"), "'half'"),
    ],
)
def test_invalid_options_of_fields(run, options, words):
    with pytest.raises(ConfigError, match=words):
        run("add", "both", "--dataset", "tiny", *options)


def test_codes_are_added_and_described(run, raw, tmp_path):
    codes = {"c0": np.arange(40) % 4, "c1": np.arange(40) % 10}
    table = pa.table({"item_id": [f"i{item}" for item in range(1, 41)], **codes})
    pq.write_table(table, tmp_path / "codes.parquet")
    output = run("add", "rq", "--dataset", "tiny", "--codes", "DIR/codes.parquet")
    assert "added rq of tiny: 40 items with 2 code(s), 4 x 10 distinct" in output
    output = run("show", "rq", "--dataset", "tiny")
    assert re.search(r"level 2 +10 codes, 3.3 bits", output)
    assert "cosine" not in output
    output = run("check", "rq", "--dataset", "tiny")
    assert re.search(r"ok +content", output)
    assert "zero vectors" not in output
    assert "rq" not in run("quality", "--dataset", "tiny")
    for words in (["quality", "rq"], ["derive", "center", "rq", "--as", "new"]):
        with pytest.raises(ConfigError, match="'rq' of 'tiny' holds codes"):
            run(*words, "--dataset", "tiny")
    with pytest.raises(ConfigError, match="either --vectors"):
        run("add", "rq", "--dataset", "tiny", "--codes", "a.parquet", "--vectors", "v.npy")
    with pytest.raises(ConfigError, match="--scale"):
        run("add", "x", "--dataset", "tiny", "--codes", "DIR/codes.parquet", "--scale", "2")


def test_codes_are_a_field_beside_vectors(run, tmp_path, monkeypatch):
    table = pa.table({"item_id": [f"i{item}" for item in range(1, 41)], "c": np.arange(40) % 4})
    (tmp_path / "dt=3").mkdir()
    monkeypatch.chdir(tmp_path)
    pq.write_table(table, "dt=3/codes.parquet")
    codes = "--codes", "rq=dt=3/codes.parquet"
    output = run("add", "v7", "--dataset", "tiny", "--field", "image=DIR/v.npz", *codes)
    assert "added v7:image of tiny: 35 vectors of width 4" in output
    assert "added v7:rq of tiny: 40 items with 1 code(s), 4 distinct" in output
    run("add", "v8", "--dataset", "tiny", "--vectors", "DIR/v.npz")
    assert "added v8:rq of tiny: 40 items with 1 code(s)" in run(
        "add", "v8", "--dataset", "tiny", *codes
    )
    alone = run("add", "v9", "--dataset", "tiny", "--codes", "dt=3/codes.parquet")
    assert "added v9 of tiny: 40 items with 1 code(s)" in alone
    for wrong, message in (
        (("--field", "rq=v.npz", *codes), "--codes rq is given twice; name each vector field once"),
        ((*codes, "--codes", "a.parquet"), "give either --vectors FILE, or --codes FILE, or one"),
    ):
        with pytest.raises(ConfigError, match=message):
            run("add", "v10", "--dataset", "tiny", *wrong)


def test_the_sheet_of_a_field_is_that_of_its_vectors(tmp_path, two_fields):
    world = WorldConfig("taste", users=30, items=30, impressions=600)
    write_world(world, tmp_path / "home", pictures=64)
    workspace = Workspace(tmp_path / "home")
    two_fields(workspace)
    drawn = []
    for name in ("v7:text", "oracle"):
        path = tmp_path / f"{len(drawn)}.png"
        words = ["sheet", name, "--dataset", "taste", "--output", str(path), "--rows", "3"]
        result = CliRunner().invoke(app, words, obj=workspace)
        assert result.exit_code == 0, result.output
        assert f"3 items of {name}, each followed by its neighbours" in result.output
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
