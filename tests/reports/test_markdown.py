from ctrbench.analysis import compare
from ctrbench.reports import render
from tests.analysis.made import arm, baseline, manifest, plan


def test_whole_table():
    records = {**baseline(), **arm("raw / vector", (0.1, 0.3)), **arm("pca_64 / vector", (1, 1, 1))}
    lines = render(compare(plan(), records), "markdown").splitlines()
    start = lines.index(r"|  | vector | cluster\_id codebook\_size=200 |")
    assert lines[start + 1 : start + 7] == [
        "| --- | ---: | ---: |",
        "| Baseline | 0.00 | 0.00 |",
        "| raw | +0.20 ± 0.10<sup>1</sup> | – |",
        r"| pca\_64 | +1.00 ± 0.00 | – |",
        "| *controls* |  |  |",
        "| raw@shuffled | – | – |",
    ]
    assert "- <sup>1</sup> 2 of 3 seeds: 0, 1." in lines


def test_pipes_and_tags_of_a_label_do_not_break_the_page():
    text = render(compare(plan(dataset=manifest(label="a|b <i>")), baseline()), "markdown")
    assert r"Label: a\|b \<i\>." in text
