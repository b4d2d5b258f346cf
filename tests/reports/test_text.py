from ctrbench.analysis import compare
from ctrbench.reports import render
from ctrbench.schema import CellRecord
from tests.analysis.made import arm, baseline, by_hash, column, plan, record, row


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


def test_blocks_as_printed():
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


def test_footnotes_and_warnings_follow_the_blocks():
    text = render(compare(plan(), records()), "text")
    assert "\n¹ 2 of 3 seeds: 0, 1.\n" in text
    assert "\n² pca_64 / vector, seed 0 failed: loss is NaN (cell pca_64 / vector#0).\n" in text


def test_a_hundred_columns_are_enough_for_many_long_ones():
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
