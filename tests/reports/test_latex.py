import re

import pytest

from ctrbench.analysis import compare
from ctrbench.reports import render
from ctrbench.reports.latex import escape
from ctrbench.schema import CellRecord
from tests.analysis.made import arm, baseline, by_hash, manifest, metrics, plan, record


def records() -> dict[str, CellRecord]:
    return {
        **baseline(),
        **arm("raw / vector", (0.1, 0.3), environment={"torch": "2.5"}),
        **by_hash(record("pca_64 / vector", 0, None, failed="50% of {memory} & $more_ #1 ~^\\")),
    }


def text() -> str:
    label = 'rating >= 4 | "95 %" & a_b ≥ 3'
    made = plan(dataset=manifest(label=label), reference=metrics(0.7))
    return render(compare(made, records()), "latex")


@pytest.mark.parametrize("sign", list("%&#$_{}"))
def test_special_characters_are_escaped(sign):
    assert escape(f"a{sign}b") == f"a\\{sign}b"


def test_characters_with_a_latex_command():
    assert escape("\\~^<>|") == (
        r"\textbackslash{}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"
    )


def test_numbers_and_marks_are_in_math_mode():
    assert r"raw & $+0.20 \pm 0.10^{1,\dagger}$ & -- \\" in text()
    assert r"pca\_64 & failed$^{2}$ & -- \\" in text()


def test_every_table_is_well_formed():
    bare = re.sub(r"\\.", "", text())  # without escaped signs and the first letter of commands
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert "%" not in bare.split("\n", 1)[1]
    assert "#" not in bare
    assert "_" not in bare
    assert all(line.count("&") == 2 for line in bare.splitlines() if "&" in line)
    assert text().isascii()
    for name in ("table", "tabular"):
        begun, ended = text().count(f"\\begin{{{name}}}"), text().count(f"\\end{{{name}}}")
        assert begun == ended == 2  # GAUC and AUC; the siblings were not run


def test_only_the_first_table_has_caption_and_warnings():
    assert text().count("Split: per") == 1
    assert text().count("Warning: The baseline") == 1
