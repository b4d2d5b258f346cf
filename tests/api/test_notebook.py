"""The code of docs/python.md, in a script and in a notebook."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ctrbench import plugins

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_session", {})
    names: dict = {}
    for block in BLOCKS:
        exec(block, names)
    assert (names["cells"].version.unique() == ["none", "v7"]).all()
    assert {"report.html", "heatmap.png"} <= {path.name for path in tmp_path.iterdir()}
    brier = names["brier"].query("version == 'none' and period == 'test' and slice == 'all'")
    assert 0.1 < brier.value.mean() < 0.4
    assert names["decision"].compared.b == "shop/none/none"
    assert any("items with an even number" in block.title for block in names["table"].blocks)


MODE = """
from ctrbench.injection import Injected, Injection, Prepared

@cb.register("brightness")
class Brightness(Injection):
    def prepare(self, images, slots, seed):
        return Prepared(item={"mean": images.unit().mean(axis=1, keepdims=True)})

    def layers(self, prepared):
        from torch import nn
        return {"weight": nn.Linear(1, 1, bias=False)}

    def inject(self, layers, batch):
        return Injected(item=layers["weight"](batch.image_item["mean"]))

own = cb.Matrix("shop", versions="v7", modes=[Brightness()], seeds=1, controls="none",
                repeat_baseline=False, training={"batch_size": 64})
"""
CELLS = [
    BLOCKS[0].split("matrix = ")[0].replace(", progress=False", ""),
    "cb.datasets.check('shop')",
    MODE,
    "cb.run(own)",
    "try:\n    cb.run(cb.Matrix('shop', versions='v7', modes=['brightness'], seeds=2), jobs=2)\n"
    "except cb.ConfigError as error:\n    print(error)",
]


@pytest.mark.slow
def test_notebook_runs_and_shows_tables(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [cell.outputs for cell in book.cells]
    html = ["".join(out.get("data", {}).get("text/html", "") for out in one) for one in outputs]
    assert "<td" in html[1]
    assert "GAUC, delta against the baseline, pp" in html[3]
    assert "brightness" in html[3]
    assert "<table>" in html[3]
    (refused,) = (out for out in outputs[4] if out.get("name") == "stdout")
    assert refused.text == (
        "jobs 2 is not possible with classes of this session (mode brightness): other processes "
        "cannot import them. Use jobs=1, or move them to a package with an entry point.\n"
    )
    shown = [out for one in outputs for out in one if out.output_type == "stream"]
    assert not any("Warning" in out.text and "ipywidgets" in out.text for out in shown)
