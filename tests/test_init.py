"""`import ctrbench`: the names that a notebook needs, each imported on first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ctrbench
from tests.benchmark import SMALL, write

HEAVY = ("torch", "numpy", "pandas", "duckdb", "pydantic")


def test_import_loads_no_library():
    code = f"import sys, ctrbench; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exported_names_equal_those_of_the_stub():
    stub = ast.parse(Path(ctrbench.__file__).with_suffix(".pyi").read_text())
    package = vars(ctrbench)
    declared = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(declared) == sorted(package["__all__"])
    for name, module in declared.items():
        assert module == f"ctrbench.{package['_MODULES'][name]}"
        assert getattr(ctrbench, name).__name__ == name
    assert set(package["__all__"]) <= set(dir(ctrbench))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        vars(ctrbench)["__getattr__"]("nothing")


def test_documented_code_runs_a_matrix(workspace, monkeypatch, capsys):
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    text = SMALL.replace("  vector: {width: 4}\n  sim_score: {}\n", "").replace(", random", "")
    write(workspace.home, text.replace("seeds: [0]", "seeds: [0, 1]"))
    monkeypatch.chdir(workspace.home)
    names: dict = {}
    exec(code.replace("jobs=2", "jobs=1"), names)
    assert capsys.readouterr().out == ctrbench.render(names["table"], "text") + "\n"
    assert {row["row"] for row in names["rows"]} >= {"Baseline", "oracle"}
    assert [comparison.row.version for comparison in names["verdicts"]] == ["oracle"]
