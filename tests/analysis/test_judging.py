import json
import re

import numpy as np
import pytest

from ctrbench.analysis import CEILING, compare
from ctrbench.reports import render
from ctrbench.reports._texts import entry_text, verdict_texts
from ctrbench.stats import Measured, infer, pair
from tests.analysis.made import DRAMA, arm, baseline, metrics, plan

USERS = 400


def moved(records, seed: int = 0, spread: float = 1e-4):
    """Return influence values of every cell: its own noise plus noise that all cells share."""
    rng = np.random.default_rng(seed)
    shared, found = rng.normal(0, 1e-3, USERS), {}
    for key in records:
        values = {}
        for name in ("test/gauc", "test/auc", f"{DRAMA.key}/gauc"):
            noise = shared + rng.normal(0, spread, USERS)
            values[name] = (noise - noise.mean()).astype(np.float32)
        found[key] = values
    return found


@pytest.fixture
def records():
    return {
        **baseline(),
        **arm("raw / vector", (1.0, 1.1, 0.9)),
        **arm("raw@shuffled / vector", (0.0, 0.1, -0.1)),
        **arm("pca_64 / vector", (-0.1, 0.2, 0.0)),
    }


def test_headline_intervals_are_those_of_the_family_without_controls(records):
    influences = moved(records)
    table = compare(plan(), records, influences)

    def contrast(label, reference, kind="baseline"):
        values = {s: records[f"{label}#{s}"].metrics["test"].gauc for s in range(3)}
        other = {s: records[f"{reference}#{s}"].metrics["test"].gauc for s in range(3)}
        own = {s: np.float64(influences[f"{label}#{s}"]["test/gauc"]) for s in range(3)}
        theirs = {s: np.float64(influences[f"{reference}#{s}"]["test/gauc"]) for s in range(3)}
        arms = Measured(label, values, own), Measured(reference, other, theirs)
        return pair(*arms, kind=f"vector against {kind}")

    family = [
        contrast("raw / vector", "Baseline"),
        contrast("raw / vector", "raw@shuffled / vector", "sibling"),
        contrast("pca_64 / vector", "Baseline"),
    ]
    control = contrast("raw@shuffled / vector", "Baseline")
    expected = infer(family, auxiliary=[control])
    lines = {line.title: line.entries[0].inference for line in table.blocks[0].lines}
    lines |= {line.title: line.entries[0].inference for line in table.blocks[1].lines}
    assert lines["raw"] == expected[0]
    assert lines["raw vs raw@shuffled"] == expected[1]
    assert lines["pca_64"] == expected[2]
    (alone,) = infer([control], auxiliary=family)
    assert lines["raw@shuffled"] == alone
    assert "The 3 headline comparisons that are no control share" in " ".join(table.caption)


def test_verdicts_are_sorted_with_the_best_first(records):
    result = compare(plan(), records, moved(records)).verdicts
    assert result is not None
    assert result.title == "Verdicts on GAUC"
    assert [line.subject for line in result.lines] == [
        "raw / vector against the baseline",
        "raw / vector against its raw@shuffled",
        "pca_64 / vector against the baseline",
    ]
    first, _, last = result.lines
    assert re.fullmatch(r"better: \+1\.00 pp, between \+0\.\d\d and \+1\.\d\d", first.verdict)
    assert verdict_texts(first)[2] == "–"  # no MDE where the interval excludes zero
    assert last.verdict.startswith("not decided: +0.03 pp, between -")
    assert float(verdict_texts(last)[2]) == pytest.approx(
        100 * last.inference.smallest_effect, abs=0.005
    )
    assert verdict_texts(last)[3:6] == tuple(
        f"{p:.3f}" for p in (last.inference.p_value, last.inference.p_holm, last.inference.p_bh)
    )
    assert "a loss of 0.05 pp" in result.reading[0]
    assert result.reading[1].startswith("More seeds")


@pytest.mark.parametrize(
    ("gain", "sibling", "against_baseline", "against_sibling"),
    [
        (1.0, 0.0, "better", "better"),
        (1.0, 1.0, "gain not due to image content", "not decided"),
        (0.0, -1.0, "not decided", "above its sibling"),
        (-1.0, -2.0, "worse", "above its sibling"),
    ],
)
def test_better_needs_both_deltas(gain, sibling, against_baseline, against_sibling):
    records = {
        **baseline(),
        **arm("raw / vector", (gain, gain + 0.1, gain - 0.1)),
        **arm("raw@shuffled / vector", (sibling, sibling + 0.1, sibling - 0.1)),
    }
    result = compare(plan(), records, moved(records)).verdicts
    assert result is not None
    words = {line.comparison.against: line.verdict.split(":")[0] for line in result.lines}
    assert words == {"Baseline": against_baseline, "raw@shuffled": against_sibling}


def test_margin_decides_what_is_no_worse(records):
    result = compare(plan(margin=0.05), records, moved(records)).verdicts
    assert result is not None
    assert result.lines[2].verdict.startswith("no worse by more than 5 pp: +0.03 pp, between ")


def test_every_format_contains_verdicts_with_p_values(records):
    table = compare(plan(), records, moved(records))
    for name in ("text", "markdown", "latex"):
        assert "p Holm" in render(table, name)
        assert "not decided" in render(table, name)
    assert '"verdict": "better: +1.00 pp, between' in render(table, "json")
    assert max(map(len, render(table, "text").splitlines())) <= 100


def test_intervals_that_exclude_zero_are_bold(records):
    table = compare(plan(), records, moved(records))
    assert "+1.00 [" in render(table, "text")
    assert "]*" in render(table, "text")
    assert "**+1.00 \\[" in render(table, "markdown")
    assert "\\mathbf{+1.00\\;[" in render(table, "latex")
    assert '"p_holm": 0.' in render(table, "json")
    assert "minimum_detectable_effect_pp" in render(table, "csv").splitlines()[0]


def test_a_cell_without_influence_values_has_the_standard_error_over_seeds(records):
    influences = {key: v for key, v in moved(records).items() if not key.startswith("pca_64")}
    lines = compare(plan(), records, influences).blocks[0].lines
    shown = {line.label: entry_text(line.entries[0]) for line in lines}
    assert shown["pca_64"] == "+0.03 ± 0.09"
    assert shown["raw"].startswith("+1.00 [")


def test_intervals_of_slices_are_pointwise(records):
    table = compare(plan(slices=(DRAMA,)), records, moved(records))
    sliced = [block for block in table.blocks if block.slice]
    assert all("(exploratory)" in block.title for block in sliced)
    assert sliced[0].lines[1].entries[0].inference is not None


def _ceiling(records):
    """The ceiling is 3 pp above the baseline and has the influence values of one baseline."""
    influences = moved(records)
    influences[CEILING] = influences["Baseline#0"]
    return plan(ceiling=metrics(0.63)), influences


def test_share_of_the_attainable_gain(records):
    known, influences = _ceiling(records)
    table = compare(known, records, influences)
    block = table.blocks[-2]
    assert block.title == "GAUC, share of the attainable gain"
    assert "0.6300" in block.detail
    share = block.lines[0].entries[0].share
    assert share is not None
    assert share.value == pytest.approx(1 / 3)  # 1.0 of 3.0 pp
    assert entry_text(block.lines[0].entries[0]).startswith("33 % [")
    assert entry_text(block.lines[0].entries[1]) == "–"
    assert '"share_low": 0.' in render(table, "json")


def test_an_attainable_gain_near_zero_has_no_shares(records):
    _, influences = _ceiling(records)
    table = compare(plan(ceiling=metrics(0.6)), records, influences)
    entry = table.blocks[-2].lines[0].entries[0]
    assert entry_text(entry) == "–"
    notes = [note.text for note in table.footnotes if note.mark in entry.marks]
    assert notes == ["The attainable gain does not differ significantly from zero."]


def test_a_share_without_an_interval_is_a_dash_and_null():
    records = {**baseline(), **arm("raw / vector", (0.0, 0.0, 0.0))}
    known, influences = _ceiling(records)
    for seed in range(3):  # the model is the baseline, but for one user
        influences[f"raw / vector#{seed}"] = {
            key: values + np.eye(1, USERS, 7, dtype=np.float32)[0] / 1000
            for key, values in influences[f"Baseline#{seed}"].items()
        }
    table = compare(known, records, influences)
    entry = table.blocks[-2].lines[0].entries[0]
    assert entry_text(entry) == "–"
    (note,) = [note.text for note in table.footnotes if note.mark in entry.marks]
    assert "Too few users" in note
    rows = json.loads(render(table, "json"))["rows"]
    shares = [row for row in rows if row["comparison"] == "attainable" and row["metric"] == "gauc"]
    assert [shares[0][name] for name in ("share", "share_low", "share_high")] == [None] * 3
    assert render(table, "text")


def test_a_real_log_has_no_block_of_shares(records):
    assert all(
        b.comparison != "attainable" for b in compare(plan(), records, moved(records)).blocks
    )
