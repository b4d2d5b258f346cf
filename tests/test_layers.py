"""Contenders of one folder do not import each other, which import-linter cannot express."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ctrbench
from ctrbench import plugins

ROOT = Path(ctrbench.__file__).parent
FOLDERS = [
    "injection",
    "datasets",
    "reports",
    "figures",
    "controls",
    "metrics",
    "models",
    "executors",
    "pretraining.methods",
    "pretraining.encoders",
    "embeddings.readers",
    "embeddings.derivations",
]
HEAVY = (
    "matplotlib",
    "PIL",
    "torch",
    "pandas",
    "pyarrow",
    "duckdb",
    "faiss",
    "sklearn",
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_contenders_do_not_import_each_other(folder):
    contenders = plugins.names(f"ctrbench.{folder}")
    assert contenders
    for name in contenders:
        path = ROOT.joinpath(*folder.split("."), f"{name}.py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
        }
        others = {f"ctrbench.{folder}.{other}" for other in contenders}
        assert not imported & others, name


def test_command_line_and_benchmark_files_import_no_heavy_library():
    code = (
        "import sys, ctrbench.cli.main, ctrbench.matrix, ctrbench.plugins as p\n"
        "from ctrbench.injection import Injection\n"
        "[p.load('ctrbench.injection', n, Injection) for n in p.names('ctrbench.injection')]\n"
        "from ctrbench.pretraining import encoders as e, methods as m\n"
        "[p.load(m.PACKAGE, n, m.PretrainMethod) for n in p.names(m.PACKAGE)]\n"
        "[p.load(e.PACKAGE, n, e.Encoder) for n in p.names(e.PACKAGE)]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_style_lists_every_module_with_its_level():
    """STYLE.md numbers the layers of pyproject.toml from 0, the lowest."""
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    levels = {
        name.removeprefix("ctrbench."): level
        for level, layer in enumerate(reversed(layers))
        for name in re.split(r" [|:] ", layer)
    }
    layout = (ROOT.parent / "STYLE.md").read_text(encoding="utf-8").split("```text")[1]
    listed = re.findall(r"^  (\w+)(?:/|\.py) +(\d+)  ", layout.split("```")[0], re.MULTILINE)
    assert {name: int(level) for name, level in listed} == {
        name: level for name, level in levels.items() if name != "__main__"
    }
