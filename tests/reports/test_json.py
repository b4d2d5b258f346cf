import json

import pytest

from ctrbench.analysis import compare
from ctrbench.reports import render
from tests.analysis.made import arm, baseline, metrics, plan


def test_whole_content_of_a_table():
    records = {**baseline(), **arm("raw / vector", (0.1, 0.3), environment={"torch": "2.5"})}
    value = json.loads(render(compare(plan(reference=metrics(0.7)), records), "json"))
    row = next(r for r in value["rows"] if r["row"] == "raw" and r["status"] == "done")
    assert row["delta_pp"] == pytest.approx(0.2, abs=1e-12)
    assert row["hashes"] == ["raw / vector#0", "raw / vector#1", "raw / vector#2"]
    assert [note["mark"] for note in value["footnotes"]] == ["1", "†"]
    assert value["caption"][0].startswith("Deltas on the test period of films")
    assert value["warnings"][0].startswith("The baseline's GAUC")
    assert value["seeds"] == [0, 1, 2]
