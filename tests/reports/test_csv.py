import csv
import io

import pytest

from ctrbench.analysis import compare
from ctrbench.reports import render
from tests.analysis.made import DRAMA, arm, baseline, by_hash, plan, record


def rows() -> list[dict[str, str]]:
    records = {
        **baseline(),
        **arm("raw / vector", (0.1, 0.3), environment={"torch": "2.5"}),
        **arm("raw@shuffled / vector", (0.0, 0.0)),
        **by_hash(record("pca_64 / vector", 0, None, failed='printed "no", twice')),
    }
    text = render(compare(plan(slices=(DRAMA,)), records), "csv")
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_per_block_row_and_column():
    assert len(rows()) == 3 * (4 + 1) * 2  # measures x (lines + sibling line) x columns
    keys = [(r["metric"], r["slice"], r["row"], r["against"], r["column"]) for r in rows()]
    assert len(set(keys)) == len(keys)


def test_row_of_a_number_at_full_precision():
    place = {"metric": "auc", "row": "raw", "against": "Baseline", "column": "vector"}
    [row] = [r for r in rows() if place.items() <= r.items()]
    assert float(row["delta_pp"]) == pytest.approx(0.2, abs=1e-12)
    assert float(row["standard_error_pp"]) == pytest.approx(0.1, abs=1e-12)
    assert (row["seeds"], row["seeds_planned"], row["notes"]) == ("2", "3", "2 of 3 seeds: 0, 1.")
    assert row["same_conditions"] == "False"
    assert row["hashes"] == "raw / vector#0 raw / vector#1 raw / vector#2"


def test_row_of_a_failed_cell_has_no_number():
    row = next(r for r in rows() if r["status"] == "failed")
    assert (row["delta_pp"], row["seeds"]) == ("", "0")
    assert 'printed "no", twice' in row["notes"]
