import pytest

from ctrbench.analysis import compare
from ctrbench.errors import UnknownNameError
from ctrbench.reports import check_format, formats, render
from tests.analysis.made import DRAMA, arm, baseline, by_hash, plan, record


def test_formats_are_the_files():
    assert formats() == ["csv", "html", "json", "latex", "markdown", "text"]


@pytest.mark.parametrize("format", formats())
@pytest.mark.parametrize("stored", [{}, baseline(), {**baseline(), **arm("raw / vector", (1, 2))}])
def test_every_format_writes_every_state_of_a_matrix(format, stored):
    failed = by_hash(record("pca_64 / vector", 1, None, failed="disk full"))
    text = render(compare(plan(slices=(DRAMA,)), {**stored, **failed}), format)
    assert text.endswith("\n")
    assert "disk full" in text
    assert "pca" in text


@pytest.mark.parametrize("format", ["json", "latex", "markdown", "text"])
def test_every_format_for_readers_contains_the_answer(format):
    table = compare(plan(), {**baseline(), **arm("raw / vector", (1, 2))})
    assert table.answer.lines[0].text in " ".join(render(table, format).split())


def test_unknown_format_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'markdown'"):
        render(compare(plan(), {}), "markdwn")
    with pytest.raises(UnknownNameError, match="no table format 'tex'"):
        check_format("tex")
