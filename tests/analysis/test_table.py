import pytest

from ctrbench.analysis import compare
from ctrbench.analysis.blocks import Block, Entry
from ctrbench.analysis.table import ComparisonTable
from ctrbench.reports._texts import entry_text
from tests.analysis.made import (
    BASELINE,
    DRAMA,
    arm,
    baseline,
    by_hash,
    column,
    metrics,
    plan,
    record,
    row,
)

VECTOR, CLUSTER = 0, 1


def entry(table: ComparisonTable, row: str, column: int, block: int = 0) -> Entry:
    return next(line for line in table.blocks[block].lines if line.label == row).entries[column]


def notes(table: ComparisonTable, place: Entry) -> list[str]:
    return [note.text for mark in place.marks for note in table.footnotes if note.mark == mark]


def titles(blocks: tuple[Block, ...]) -> list[str]:
    return [block.title for block in blocks]


def test_delta_is_the_mean_of_the_paired_differences_in_points():
    table = compare(plan(), {**baseline(), **arm("raw / vector", (0.1, 0.2, 0.6))})
    place = entry(table, "raw", VECTOR)
    assert place.delta is not None
    assert place.delta.mean_pp == pytest.approx(0.3)
    # deviations -.2, -.1, .3: variance .07, standard error sqrt(.07 / 3)
    assert place.delta.standard_error_pp == pytest.approx(0.1527525)
    assert entry_text(place) == "+0.30 ± 0.15"
    assert place.marks == ()


def test_columns_are_compared_with_the_baseline_of_equal_training():
    columns = tuple(column(f"vector epochs={n}", f"epochs={n}", epochs=n) for n in (1, 2))
    records = {
        **baseline(),
        **arm("raw / vector epochs=1", (0.1, 0.2, 0.3)),
        **arm("Baseline epochs=2", (0.5, 0.5, 0.5)),
        **arm("raw / vector epochs=2", (1.1, 1.2, 1.3)),
    }
    table = compare(
        plan(
            rows=(row("raw"),),
            columns=columns,
            baselines={
                "epochs=1": {seed: f"Baseline#{seed}" for seed in (0, 1, 2)},
                "epochs=2": {seed: f"Baseline epochs=2#{seed}" for seed in (0, 1, 2)},
            },
        ),
        records,
    )
    deltas = [entry(table, "raw", place).delta for place in (0, 1)]
    assert [delta and delta.mean_pp for delta in deltas] == pytest.approx([0.2, 0.7])
    mean = sum(BASELINE) / 3
    start = f"Baseline epochs=1 {mean:.4f}; Baseline epochs=2 {mean + 0.005:.4f}; "
    assert table.blocks[0].detail.startswith(start)
    assert "†" not in entry(table, "raw", 1).marks


def test_baseline_line_is_zero_without_sign_or_error():
    table = compare(plan(), baseline())
    first = table.blocks[0].lines[0]
    assert first.label == "Baseline"
    assert [entry_text(place) for place in first.entries] == ["0.00", "0.00"]


def test_negative_delta_keeps_its_sign_and_zero_has_none():
    records = {
        **baseline(),
        **arm("raw / vector", (-0.4, -0.4, -0.4)),
        **arm("pca_64 / vector", (0, 0, 0)),
    }
    table = compare(plan(), records)
    assert entry_text(entry(table, "raw", VECTOR)) == "-0.40 ± 0.00"
    assert entry_text(entry(table, "pca_64", VECTOR)) == "0.00 ± 0.00"


def test_cell_not_run_is_a_dash_without_a_note():
    place = entry(compare(plan(), baseline()), "raw", VECTOR)
    assert (entry_text(place), place.marks, place.status) == ("–", (), "missing")


def test_failed_cell_gives_reason_and_hash():
    failed = record("raw / vector", 0, None, failed="loss is NaN at step 7")
    table = compare(plan(), {**baseline(), **by_hash(failed)})
    place = entry(table, "raw", VECTOR)
    assert entry_text(place) == "failed"
    assert notes(table, place) == [
        "raw / vector, seed 0 failed: loss is NaN at step 7 (cell raw / vector#0)."
    ]
    assert entry(table, "raw", VECTOR, block=1).marks == place.marks  # AUC: the same footnote


def test_part_of_the_seeds_is_named():
    table = compare(plan(), {**baseline(), **arm("raw / vector", (0.1, 0.3))})
    place = entry(table, "raw", VECTOR)
    assert entry_text(place) == "+0.20 ± 0.10"
    assert notes(table, place) == ["2 of 3 seeds: 0, 1."]


def test_partly_failed_arm_shows_the_finished_seeds_and_the_reason():
    failed = record("raw / vector", 2, None, failed="out of\n  memory.")
    table = compare(plan(), {**baseline(), **arm("raw / vector", (0.1, 0.3)), **by_hash(failed)})
    assert notes(table, entry(table, "raw", VECTOR)) == [
        "raw / vector, seed 2 failed: out of memory (cell raw / vector#2).",
        "2 of 3 seeds: 0, 1.",
    ]


def test_one_seed_has_no_standard_error():
    table = compare(plan(seeds=(0,)), {**baseline(), **arm("raw / vector", (0.25,))})
    place = entry(table, "raw", VECTOR)
    assert entry_text(place) == "+0.25"
    assert notes(table, place) == ["One seed: the seed variance of the difference is unknown."]
    assert "One seed (0); its standard error is unknown." in table.caption


def test_cells_without_a_baseline_of_their_seed_are_not_compared():
    table = compare(plan(), arm("raw / vector", (0.1, 0.2, 0.6)))
    place = entry(table, "raw", VECTOR)
    assert entry_text(place) == "–"
    assert notes(table, place) == ["The reference has no finished cell with the same seed."]


def test_sibling_block_requires_a_stored_sibling():
    records = {**baseline(), **arm("raw / vector", (0.1, 0.2, 0.3))}
    assert [b.comparison for b in compare(plan(), records).blocks] == ["baseline", "baseline"]


def test_blocks_are_headline_then_other_metric_then_slices_with_both_deltas():
    shuffled = arm("raw@shuffled / vector", (0.1, 0.2, 0.3))
    table = compare(plan(slices=(DRAMA,)), {**baseline(), **shuffled})
    assert titles(table.blocks) == [
        "GAUC, delta against the baseline, pp",
        "GAUC, delta against the shuffled sibling, pp",
        "AUC, delta against the baseline, pp",
        "AUC, delta against the shuffled sibling, pp",
        "GAUC on genres = Drama, delta against the baseline, pp (exploratory)",
        "GAUC on genres = Drama, delta against the shuffled sibling, pp (exploratory)",
    ]


def test_headline_auc_comes_first():
    table = compare(plan(headline="auc", rows=(row("raw"),)), baseline())
    assert [block.metric for block in table.blocks] == ["auc", "gauc"]


def test_delta_against_the_shuffled_sibling():
    records = {
        **baseline(),
        **arm("raw / vector", (0.5, 0.7, 0.6)),
        **arm("raw@shuffled / vector", (0.1, 0.2, 0.3)),
    }
    table = compare(plan(), records)
    [line] = table.blocks[1].lines
    assert line.title == "raw vs raw@shuffled"
    assert entry_text(line.entries[VECTOR]) == "+0.40 ± 0.06"  # .4, .5, .3
    assert entry_text(line.entries[CLUSTER]) == "–"


def test_controls_are_below_the_versions():
    lines = compare(plan(), baseline()).blocks[0].lines
    assert [line.label for line in lines] == ["Baseline", "raw", "pca_64", "raw@shuffled"]
    assert [line.control for line in lines] == [False, False, False, True]


def test_block_names_the_value_of_the_baseline():
    table = compare(plan(slices=(DRAMA,)), baseline())
    assert table.blocks[0].detail == (
        "Baseline 0.6000; 2,000 impressions, 300 of 400 users evaluable."
    )
    assert table.blocks[2].detail.startswith("Baseline 0.6000; 700 impressions")


def test_slice_that_is_not_stored():
    table = compare(
        plan(slices=(DRAMA,)), {**baseline(), **arm("raw / vector", (1, 1, 1), slices={})}
    )
    place = entry(table, "raw", VECTOR, block=2)
    assert entry_text(place) == "–"
    assert notes(table, place) == [
        "GAUC on genres = Drama is not among the stored metrics of raw / vector."
    ]


def test_undefined_metric():
    records = {**baseline(), **arm("raw / vector", (1, 1, 1), metrics={"test": metrics(None)})}
    table = compare(plan(), records)
    assert notes(table, entry(table, "raw", VECTOR)) == [
        "GAUC is not defined: no user has both a click and a non-click."
    ]
    assert notes(table, entry(table, "raw", VECTOR, block=1)) == [
        "AUC is not defined: there are not both a click and a non-click."
    ]


def test_other_environment_is_marked_and_named():
    other = arm("raw / vector", (1, 1, 1), environment={"torch": "2.5.0"})
    table = compare(plan(), {**baseline(), **arm("pca_64 / vector", (1, 1, 1)), **other})
    assert entry(table, "raw", VECTOR).marks == ("†",)
    assert entry(table, "pca_64", VECTOR).marks == ()
    assert [note.text for note in table.footnotes] == [
        "raw / vector: trained under other conditions than Baseline, seed 0: "
        "torch 2.5.0 instead of 2.6.0."
    ]


def test_other_training_settings_in_one_seed_are_marked_and_named():
    records = {**baseline(), **arm("raw / vector", (1, 1, 1))}
    odd = records["raw / vector#1"]
    cell = odd.cell.model_copy(update={"training": {"learning_rate": 0.01}})
    records |= by_hash(odd.model_copy(update={"cell": cell}))
    table = compare(plan(), records)
    assert entry(table, "raw", VECTOR).marks == ("†",)
    assert table.footnotes[0].text == (
        "raw / vector (seed 1): trained under other conditions than Baseline, seed 0: "
        "training.learning_rate 0.01 instead of 0.001."
    )


def test_entries_name_their_cells():
    place = entry(compare(plan(), baseline()), "raw", VECTOR)
    assert place.hashes == ("raw / vector#0", "raw / vector#1", "raw / vector#2")


def test_reversed_arms_flip_every_sign():
    forward = compare(
        plan(),
        {
            **baseline(),
            **arm("raw / vector", (0.5, 0.7, 0.6)),
            **arm("raw@shuffled / vector", (0.1, 0.2, 0.3)),
        },
    )
    backward = compare(
        plan(),
        {
            **baseline(),
            **arm("raw / vector", (0.1, 0.2, 0.3)),
            **arm("raw@shuffled / vector", (0.5, 0.7, 0.6)),
        },
    )
    one, other = forward.blocks[1].lines[0].entries[0], backward.blocks[1].lines[0].entries[0]
    assert one.delta is not None
    assert other.delta is not None
    assert one.delta.mean_pp == -other.delta.mean_pp
