import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ctrbench import impressions
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from tests.benchmark import SMALL, write

TWO = SMALL.replace("seeds: [0]", "seeds: [0, 1]").replace(
    "  sim_score: {}\n  cluster_id: {codebook_size: 8, width: 4}\n", ""
)


def test_history_equals_the_table_of_a_file(workspace, run, tmp_path):
    with pytest.raises(DataError, match="'taste'"):
        run("history", "taste")
    file = write(workspace.home, TWO)
    run("run", file)
    for name in ("oracle", "random"):  # on one day, so that the table shows the time as well
        path = workspace.embeddings / "taste" / name / "manifest.json"
        changed = json.loads(path.read_text(encoding="utf-8"))
        changed["created"] = f"2026-01-02T0{len(name)}:00:00+00:00"
        path.write_text(json.dumps(changed), encoding="utf-8")
    text = run("history", "taste", "--output", tmp_path / "h.png")
    found = json.loads(run("tables", file, "--json"))
    assert re.match(r"(oracle|random), the newest version, under vector: ", text)
    for name in ("oracle", "random"):
        entry = next(one for one in found["rows"] if one["row"] == name and one["metric"] == "gauc")
        shown = f"{entry['delta_pp']:+.2f} [{entry['low_pp']:+.2f}, {entry['high_pp']:+.2f}]"
        assert re.search(rf"\d{{4}}-\d\d-\d\d [\d:]+ +{name} +{re.escape(shown)}", text)
    with Image.open(tmp_path / "h.png") as picture:
        assert picture.width > 500
    printed = json.loads(run("history", "taste", "--json"))
    assert f"{printed['answer']}\n" in text
    assert [one["mode"] for one in printed["versions"]] == ["vector", "vector"]
    assert run("history", "taste", "--file", file) == run("history", "taste")


def test_a_file_selects_settings(workspace, run):
    run("run", write(workspace.home, TWO))
    one = write(
        workspace.home, TWO.replace("width: 4", "width: 2").replace("[oracle, random]", "[oracle]")
    )
    run("run", one)
    assert "width 4" in run("history", "taste")
    text = run("history", "taste", "--file", one)
    assert "width 2" in text
    assert "no earlier version" in text
    with pytest.raises(UnknownNameError, match="tast"):
        run("history", "tast")


def test_a_file_of_another_data_set(workspace, run):
    manifest = workspace.data / "taste" / "manifest.json"
    other = workspace.results / "other" / "dataset.json"
    named = json.loads(manifest.read_text(encoding="utf-8")) | {"name": "other"}
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps({"manifest": named, "reference": None}), encoding="utf-8")
    with pytest.raises(ConfigError, match="'taste', not of 'other'"):
        run("history", "other", "--file", write(workspace.home, TWO))


def test_a_file_shows_codes_and_a_named_first_field(workspace, run, two_fields):
    """The cells of both lack settings of the file: those of codebooks, and the field's name."""
    two_fields(workspace)
    raw_ids = impressions.raw_item_ids(workspace, "taste")
    table = pa.table({"item_id": raw_ids, "code": np.arange(len(raw_ids)) % 5})
    pq.write_table(table, workspace.home / "codes.parquet")
    codes = "--codes", workspace.home / "codes.parquet"
    run("embeddings", "add", "rq", "--dataset", "taste", *codes, "--allow-low-coverage")
    modes = "modes: {cluster_id: {codebook_size: 8, width: 4, field: image}}\n"
    start, end = SMALL.index("modes:"), SMALL.index("seeds:")
    text = SMALL[:start] + modes + SMALL[end:]
    file = write(workspace.home, text.replace("[oracle, random]", "[v7, rq]"))
    run("run", file)
    shown = json.loads(run("history", "taste", "--file", file, "--json"))
    assert sorted(one["version"] for one in shown["versions"]) == ["rq", "v7"]
    assert not any("cluster_id" in text for text in shown["missing"])
