"""docs/tutorial.ipynb runs, and its output shows what its text states."""

import html
import re
import runpy
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parents[1] / "docs"
PATH = DOCS / "tutorial.ipynb"
NOTEBOOK = runpy.run_path(str(DOCS / "_notebook.py"))


def test_the_repository_stores_no_output():
    cells = [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_a_cell_is_rendered_with_its_output():
    table = '\n<table border="1" class="dataframe">1</table>'
    stream = nbformat.v4.new_output("stream", name="stdout", text="printed\n")
    unseen = nbformat.v4.new_output("stream", name="stderr", text="progress\n")
    shown = nbformat.v4.new_output("display_data", data={"text/html": table, "text/plain": "1"})
    plain = nbformat.v4.new_output("display_data", data={"text/plain": "2"})
    cell = nbformat.v4.new_code_cell("# Title\nx", outputs=[stream, unseen, shown, plain])
    assert NOTEBOOK["rendered"](cell).split("\n\n") == [
        "```python\n# Title\nx\n```",
        "```text\nprinted\n```",
        '<div class="output">\n<table>1</table>\n</div>',
        "```text\n2\n```",
    ]
    cell.metadata["tags"] = [NOTEBOOK["HIDDEN"]]
    folded = '??? example "Title"\n\n    ```python\n    # Title\n    x\n    ```'
    assert NOTEBOOK["rendered"](cell) == folded
    assert NOTEBOOK["rendered"](nbformat.v4.new_markdown_cell("# Text")) == "# Text"


@pytest.mark.slow
def test_the_output_shows_what_the_text_states():
    book = NOTEBOOK["executed"](PATH)
    shown = {cell.source: html.unescape(NOTEBOOK["rendered"](cell)) for cell in book.cells}

    def of(code: str) -> str:
        (found,) = (page for source, page in shown.items() if code in source)
        return found

    guards = re.findall(r"<tr><td[^>]*>(\w+)</td>", of("cb.datasets.check("))
    assert set(guards) == {"ok"}
    result = of("cb.run(")
    assert "<li>Ship v2 / sim_score, the only supported gain.</li>" in result
    assert "<li>v1 / sim_score: no evidence of an effect" in result
    assert re.search(r"The baseline's GAUC [\d.]+ is not above the [\d.]+ of a logistic", result)
    assert "Implausibly large gains in GAUC: v2 / sim_score" in result
    rows = re.findall(r"<td[^>]*>(v\d[^<]*)</td><td[^>]*>(?:<b>)?([^<]+)", result)
    signs = {name: re.findall(r"[+-](?=\d)", value)[1:] for name, value in rows}
    assert signs["v2"] == signs["v2 vs v2@shuffled"] == ["+", "+"]
    assert signs["v1"] == signs["v1 vs v1@shuffled"] == ["-", "+"]
    assert "<svg" in of("cb.plot(")
    assert "v2/sim_score is better." in of("cb.compare(")
    assert re.search(r"- v1 / sim_score against Baseline: \d+ seeds", of("cb.power("))
    assert of("cb.results(").count("<td>") == 5 * 3  # rows x seeds
