from dataclasses import replace

from ctrbench.analysis import compare
from ctrbench.reports import render
from ctrbench.schema import CellRecord
from tests.analysis.made import arm, baseline, by_hash, column, metrics, plan, record, row


def records() -> dict[str, CellRecord]:
    return {
        **baseline(),
        **arm("raw / vector", (0.1, 0.2, 0.6)),
        **arm("raw / cluster_id codebook_size=200", (0.1, 0.3)),
        **arm("raw@shuffled / vector", (0.1, 0.2, 0.3)),
        **by_hash(record("pca_64 / vector", 0, None, failed="loss is NaN")),
    }


def block(text: str, title: str) -> str:
    return text[text.index(title) :].split("\n\n")[0]


def test_whole_blocks():
    text = render(compare(plan(), records()), "text")
    assert block(text, "GAUC, delta against the baseline").splitlines() == [
        "GAUC, delta against the baseline, pp",
        "Baseline 0.6000; 2,000 impressions, 300 of 400 users evaluable.",
        "                                    cluster_id",
        "                     vector  codebook_size=200",
        "──────────────────────────────────────────────",
        "Baseline              0.00               0.00",
        "raw           +0.30 ± 0.15       +0.20 ± 0.10¹",
        "pca_64              failed²                 –",
        "controls ─────────────────────────────────────",
        "raw@shuffled  +0.20 ± 0.06                  –",
    ]
    assert block(text, "AUC, delta against the shuffled sibling").splitlines()[-1] == (
        "raw vs raw@shuffled  +0.10 ± 0.10                  –"
    )


def test_short_form_is_answer_headline_and_a_line_per_warning():
    table = compare(plan(effect=0.001, reference=metrics(0.7)), records())
    assert table.warnings
    text = render(table, "text", full=False)
    answer_lines = [line.text for line in table.answer.lines]
    assert text.splitlines()[: len(answer_lines)] == answer_lines
    titles = [line for line in text.splitlines() if ", delta against" in line]
    assert titles == [
        "GAUC, delta against the baseline, pp",
        "GAUC, delta against the shuffled sibling, pp",
    ]
    assert "² pca_64 / vector, seed 0 failed: loss is NaN" in text
    assert text.count("\nWarning: ") == min(3, len(table.warnings))
    assert table.caption[0] not in text
    assert max(len(line) for line in text.splitlines()[len(answer_lines) :]) <= 100
    assert render(table, "csv", full=False) == render(table, "csv")


def test_more_warnings_are_counted():
    table = replace(compare(plan(), records()), warnings=tuple(f"Number {n}." for n in range(5)))
    text = render(table, "text", full=False)
    assert "Warning: Number 2." in text
    assert "Number 3" not in text
    assert "2 more warnings: --full" in text


def test_footnotes_and_warnings_follow_the_blocks():
    text = render(compare(plan(), records()), "text")
    assert "\n¹ 2 of 3 seeds: 0, 1.\n" in text
    assert "\n² pca_64 / vector, seed 0 failed: loss is NaN (cell pca_64 / vector#0).\n" in text


def test_many_long_columns_fit_a_hundred_characters():
    name = "a-version-with-quite-a-long-name@shuffled-within-poster_source"
    columns = tuple(
        column(f"cluster_id codebook_size={n} learning_rate_factor=0.{n}") for n in range(7)
    )
    made = [arm(f"{name} / {c.label}", (0.1, 0.2)) for c in columns]
    records = {key: value for one in made for key, value in one.items()}
    wide = plan(columns=columns, rows=(row(name),))
    text = render(compare(wide, {**baseline(), **records}), "text")
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("+0.15 ± 0.05¹") == 14  # seven columns, two metrics
