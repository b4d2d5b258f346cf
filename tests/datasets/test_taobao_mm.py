import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench import embeddings
from ctrbench.datasets.taobao_mm import Layout, TaobaoMM
from ctrbench.errors import ConfigError, DataError
from ctrbench.importing import build, database
from ctrbench.impressions import open_impressions, raw_item_ids, vocabulary
from ctrbench.workspace import Workspace
from tests.datasets.imports import run
from tests.impressions.logs import rows_of

LABEL, IDS = pa.list_(pa.int8()), pa.list_(pa.int64())
BIG = -(2**63) + 5  # float64 would round it
FEATURES = [f"130_{number}" for number in range(1, 6)]
TYPES = {
    **{name: pa.int64() for name in ("129_1", "205", "206", "213", "214", *FEATURES)},
    **{"label_0": LABEL, "150_2_180": IDS, "151_2_180": IDS, "205_c": LABEL},
}
USERS = {"train": [BIG, 2], "test": [BIG, -7]}
HISTORIES = {
    ("train", BIG): [0, 0, 5, -6],
    ("train", 2): [7],
    ("test", BIG): [5, -6, 8],
    ("test", -7): [],
}


def samples(period):
    """Every user sees items 20 to 59; every third is clicked."""
    return [
        {"label_0": [0, 1] if item % 3 == 0 else [1, 0], "129_1": user, "205": item}
        for user in USERS[period]
        for item in range(20, 60)
    ]


def profiles(period):
    return [
        {"129_1": user, **dict.fromkeys(FEATURES, 0), "130_1": 11 if period == "train" else 12}
        | {"150_2_180": HISTORIES[period, user], "151_2_180": [1] * len(HISTORIES[period, user])}
        for user in USERS[period]
    ]


def items():
    return [{"205": item, "206": -9, "213": 0, "214": item} for item in range(20, 60)]


def vectors(*more):
    rows = [(item, [item, -127]) for item in (*range(20, 60), 5, 8)]
    return [{"205": item, "205_c": vector} for item, vector in [*rows, *more]]


def write(path, rows, compression="snappy"):
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, TYPES[name]) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema), path, compression=compression)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    for period in USERS:
        write(folder / f"{period}_samples.parquet", samples(period))
        write(folder / f"{period}_user_features.parquet", profiles(period))
    write(folder / "item_features.parquet", items())
    return folder


@pytest.fixture
def processed(tmp_path):
    folder = tmp_path / "processed"
    for period in USERS:
        users = {one["129_1"]: one for one in profiles(period)}
        features = {one["205"]: one for one in items()}
        rows = [r | users[r["129_1"]] | features[r["205"]] for r in samples(period)]
        write(folder / period / f"{period}-shard-000000.parquet", rows[:50], "zstd")
        write(folder / period / f"{period}-shard-000001.parquet", rows[50:], "zstd")
        (folder / period / "metadata.json").write_text(json.dumps({"total_rows": len(rows)}))
    return folder


def histories(workspace):
    """The history of each user, by whether the row is a test row."""
    return {(words[0] == "test", words[1]): words[5] for words in rows_of(workspace)}


def test_raw(workspace, raw):
    manifest = run(workspace, TaobaoMM(raw))
    assert histories(workspace) == {
        (False, str(BIG)): ("5", "-6"),  # 0 is padding
        (False, "2"): ("7",),
        (True, str(BIG)): ("5", "-6", "8"),
        (True, "-7"): (),
    }
    assert manifest.counts["history_items"] == 6  # each list once
    assert manifest.counts["clicks"] == 4 * len(range(21, 60, 3))
    assert set(manifest.periods) == {"train", "valid", "test"}
    assert manifest.periods["test"] == (80, 160)
    assert any("never used as valid" in note for note in manifest.notes)


def test_processed_is_the_same_data_set(workspace, raw, processed):
    run(workspace, TaobaoMM(raw))
    manifest = run(workspace, TaobaoMM(processed), name="shards")
    assert manifest.content_hash == open_impressions(workspace, "log").manifest.content_hash


def test_fields_have_the_official_numbers_and_0_is_missing(workspace, raw):
    manifest = run(workspace, TaobaoMM(raw))
    sizes = {f.name: f.size for f in manifest.fields}
    assert sizes["item_206"] == 1
    assert sizes["item_213"] == 0
    assert sizes["user_130_2"] == 0
    assert vocabulary(workspace, "log", "item_206") == ["-9"]
    assert vocabulary(workspace, "log", "user_130_1") == ["11", "12"]  # 11 for users of train


def test_the_latest_items_of_a_history(workspace, raw):
    run(workspace, TaobaoMM(raw, latest=1))
    assert histories(workspace)[True, str(BIG)] == ("8",)


def test_both_layouts_need_a_choice(workspace, raw, processed):
    for period in USERS:
        (processed / period).rename(raw / period)
    with pytest.raises(ConfigError, match="--layout raw or --layout processed"):
        run(workspace, TaobaoMM(raw))
    assert run(workspace, TaobaoMM(raw, layout=Layout.processed)).counts["impressions"] == 160


def test_vectors_are_divided_by_127_and_a_repeated_key_is_dropped(workspace, raw):
    write(raw / "scl_embedding_int8_p90.parquet", vectors((5, [1, 1])))
    with database(workspace) as connection:
        result = TaobaoMM(raw).read(connection, None, lambda _: None)
        build(workspace, "log", result)
        (version,) = result.versions
        log, raw_ids = open_impressions(workspace, "log"), raw_item_ids(workspace, "log")
        embeddings.add_version(workspace, log, raw_ids, version.name, version.source)
    table = embeddings.open_version(workspace, "log", "scl")
    vector = table.vectors[1 + raw_ids.index("5")]
    np.testing.assert_allclose(vector, np.array([5, -127]) / 127, rtol=1e-6)
    assert not table.has_vector[1 + raw_ids.index("-6")]
    assert any("Repeated vectors of items: 1, dropped" in note for note in version.notes)


def test_other_labels_are_refused(workspace, raw):
    rows = samples("train")
    rows[1]["label_0"] = [1, 1]
    write(raw / "train_samples.parquet", rows)
    with pytest.raises(DataError, match=r"train_samples.*neither \[0, 1\] nor \[1, 0\]: row 2"):
        run(workspace, TaobaoMM(raw))


def test_ids_as_floats_are_refused(workspace, raw):
    table = pa.Table.from_pylist(items())
    table = table.set_column(0, "205", table.column("205").cast(pa.float64()))
    pq.write_table(table, raw / "item_features.parquet")
    with pytest.raises(DataError, match="'205' has type DOUBLE, expected BIGINT"):
        run(workspace, TaobaoMM(raw))


def test_missing_shards_are_found_by_the_number_of_rows(workspace, processed):
    (processed / "test" / "test-shard-000001.parquet").unlink()
    with pytest.raises(DataError, match=r"50 rows, but metadata.json says 80"):
        run(workspace, TaobaoMM(processed))


def test_another_header_is_printed(workspace, raw):
    pq.write_table(pa.table({"label": [[0, 1]], "user": [1]}), raw / "test_samples.parquet")
    with pytest.raises(DataError, match=r"(?s)found: +label, user.*expected: label_0, 129_1, 205"):
        run(workspace, TaobaoMM(raw))


def test_missing_ids_and_users_without_a_history_are_counted(workspace, raw):
    more = [{"label_0": [1, 0], "129_1": 99, "205": 30}, {**samples("test")[0], "205": 0}]
    write(raw / "test_samples.parquet", samples("test") + more)
    manifest = run(workspace, TaobaoMM(raw))
    assert manifest.counts["impressions"] == 161
    assert any("Rows of test with the missing id 0: 1, dropped" in note for note in manifest.notes)
    assert any("Rows of test whose user has no history: 1." in note for note in manifest.notes)
