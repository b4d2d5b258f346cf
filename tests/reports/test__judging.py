import re

import numpy as np
import pytest

from ctrbench.reports import CEILING, compare, render
from ctrbench.reports._long import long_rows
from ctrbench.stats import Measured, infer, pair
from tests.reports.made import DRAMA, arm, baseline, metrics, plan

USERS = 400


def moved(records, seed: int = 0, spread: float = 1e-4):
    """Influence values for every cell: its own noise on noise that all cells share."""
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
        return pair(*arms, kind=f"vector against {kind}", against=kind)

    family = [
        contrast("raw / vector", "Baseline"),
        contrast("raw / vector", "raw@shuffled / vector", "sibling"),
        contrast("pca_64 / vector", "Baseline"),
    ]
    control = contrast("raw@shuffled / vector", "Baseline")
    expected = infer(family, beside=[control])
    lines = {line.title: line.entries[0].inference for line in table.blocks[0].lines}
    lines |= {line.title: line.entries[0].inference for line in table.blocks[1].lines}
    assert lines["raw"] == expected[0]
    assert lines["raw vs raw@shuffled"] == expected[1]
    assert lines["pca_64"] == expected[2]
    alone = infer([control], beside=family)[0]
    assert lines["raw@shuffled"] == alone
    assert "over the 3 headline comparisons that are no control" in " ".join(table.caption)


def test_verdicts_say_it_in_words_the_best_first(records):
    said = compare(plan(), records, moved(records)).verdicts
    assert said is not None
    assert said.title == "Verdicts on GAUC"
    assert [line.subject for line in said.lines] == [
        "raw / vector against the baseline",
        "raw / vector against its raw@shuffled",
        "pca_64 / vector against the baseline",
    ]
    first, _, last = said.lines
    assert re.fullmatch(r"better: \+1\.00 pp, between \+0\.\d\d and \+1\.\d\d", first.verdict)
    assert first.places[2] == "–"  # nothing can hide where the interval leaves zero out
    assert last.verdict.startswith("not decided: +0.03 pp, between -")
    assert float(last.places[2]) == pytest.approx(100 * last.inference.smallest_effect, abs=0.005)
    assert last.places[3:6] == tuple(
        f"{p:.3f}" for p in (last.inference.p_value, last.inference.p_holm, last.inference.p_bh)
    )
    assert "a loss of 0.05 pp" in said.reading[0]
    assert said.reading[1].startswith("More seeds would make most ranges narrower")


def test_margin_decides_what_is_no_worse(records):
    said = compare(plan(margin=0.05), records, moved(records)).verdicts
    assert said is not None
    assert said.lines[2].verdict.startswith("no worse by more than 5 pp: +0.03 pp, between ")


def test_verdicts_stand_in_every_format_with_their_p_values(records):
    table = compare(plan(), records, moved(records))
    for name in ("text", "markdown", "latex"):
        assert "p Holm" in render(table, name)
        assert "not decided" in render(table, name)
    assert '"verdict": "better: +1.00 pp, between' in render(table, "json")
    assert max(map(len, render(table, "text").splitlines())) <= 100


def test_bold_is_what_leaves_zero_out(records):
    table = compare(plan(), records, moved(records))
    assert "+1.00 [" in render(table, "text")
    assert "]*" in render(table, "text")
    assert "**+1.00 \\[" in render(table, "markdown")
    assert "\\mathbf{+1.00\\;[" in render(table, "latex")
    assert '"p_holm": 0.' in render(table, "json")
    assert "smallest_effect_pp" in render(table, "csv").splitlines()[0]


def test_a_cell_without_influence_values_keeps_the_error_over_seeds(records):
    influences = {key: v for key, v in moved(records).items() if not key.startswith("pca_64")}
    lines = compare(plan(), records, influences).blocks[0].lines
    shown = {line.label: line.entries[0].text for line in lines}
    assert shown["pca_64"] == "+0.03 ± 0.09"
    assert shown["raw"].startswith("+1.00 [")


def test_slices_are_judged_alone(records):
    table = compare(plan(slices=(DRAMA,)), records, moved(records))
    sliced = [block for block in table.blocks if block.slice]
    assert all("(exploratory)" in block.title for block in sliced)
    assert sliced[0].lines[1].entries[0].inference is not None


def _ceiling(records):
    """The truth is 3 pp above the baseline; its users move it as they move one of the baselines."""
    influences = moved(records)
    influences[CEILING] = influences["Baseline#0"]
    return plan(ceiling=metrics(0.63)), influences


def test_share_of_the_attainable_gain(records):
    known, influences = _ceiling(records)
    table = compare(known, records, influences)
    block = table.blocks[-2]
    assert block.title == "GAUC, share of the attainable gain"
    assert "reaches 0.6300" in block.detail
    share = block.lines[0].entries[0].share
    assert share is not None
    assert share.value == pytest.approx(1 / 3)  # 1.0 of 3.0 pp
    assert block.lines[0].entries[0].text.startswith("33 % [")
    assert block.lines[0].entries[1].text == "–"
    assert '"share_low": 0.' in render(table, "json")


def test_a_gain_that_is_not_there_has_no_shares(records):
    _, influences = _ceiling(records)
    table = compare(plan(ceiling=metrics(0.6)), records, influences)
    entry = table.blocks[-2].lines[0].entries[0]
    assert entry.text == "–"
    notes = [note.text for note in table.footnotes if note.mark in entry.marks]
    assert notes == ["The attainable gain is not separable from zero."]


def test_no_block_of_shares_on_a_real_log(records):
    assert all(
        b.comparison != "attainable" for b in compare(plan(), records, moved(records)).blocks
    )


def _with_items(influences, worth: float = 40.0):
    """The same cells with item sums that all seeds of an arm share, and next to no pairs."""
    for hash, values in influences.items():
        rng = np.random.default_rng(list(hash.partition("#")[0].encode()))
        for key in ("test/gauc", "test/auc"):
            values[f"{key}/items"] = rng.normal(0, 2e-3, 60).astype(np.float32)
            values[f"{key}/pairs"] = rng.normal(0, 1e-5, 2048).astype(np.float32)
            values[f"{key}/items_worth"] = np.array([worth])
    return influences


def test_item_sums_widen_intervals_and_the_caption_says_so(records):
    without = compare(plan(slices=()), records, moved(records))
    known = compare(plan(slices=()), records, _with_items(moved(records)))
    text = " ".join(known.caption)
    assert "95 % confidence intervals that account for user, item and seed variance" in text
    assert "same items only" not in text
    assert "account for user and seed variance; they hold for the same items only" in " ".join(
        without.caption
    )
    assert known.verdicts is not None
    assert without.verdicts is not None
    for one, two in zip(known.verdicts.lines, without.verdicts.lines, strict=True):
        users, items, seeds = one.places[-1].split(" / ")
        assert int(users) + int(items) + int(seeds) == pytest.approx(100, abs=1)
        assert int(items) > 0
        assert two.places[-1].split(" / ")[1] == "–"
        assert one.inference.high - one.inference.low > two.inference.high - two.inference.low


def test_the_long_form_holds_the_shares_of_the_variance(records):
    rows = long_rows(compare(plan(slices=()), records, _with_items(moved(records), worth=9.0)))
    row = next(row for row in rows if row["variance_items"])
    assert row["share_users"] + row["share_items"] + row["share_seeds"] == pytest.approx(1)
    assert row["worth_items"] == 9
    rows = long_rows(compare(plan(slices=()), records, moved(records)))
    row = next(row for row in rows if row["variance_users"])
    assert row["variance_items"] is row["share_items"] is row["worth_items"] is None
    assert row["share_users"] + row["share_seeds"] == pytest.approx(1)


def test_few_items_are_named_with_their_effective_number(records):
    for worth, fires in ((19.9, True), (20.0, False)):
        table = compare(plan(slices=()), records, _with_items(moved(records), worth))
        found = [line for line in table.warnings if "effective number of items" in line]
        assert len(found) == fires
        if fires:
            assert "GAUC on the test period (19.9)" in found[0]


def test_cells_without_item_sums_are_judged_by_users_alone(records):
    """A cell of an older version beside newer ones."""
    influences = _with_items(moved(records))
    for key in ("items", "pairs"):
        for hash in list(influences):
            if hash.startswith("pca_64"):
                del influences[hash][f"test/gauc/{key}"]
    table = compare(plan(slices=()), records, influences)
    lines = {line.title: line.entries[0].inference for line in table.blocks[0].lines}
    assert lines["raw"].variance.with_items
    assert not lines["pca_64"].variance.with_items
    assert "same items only" in " ".join(table.caption)
