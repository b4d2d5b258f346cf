"""Contenders of one folder do not import each other, which import-linter cannot express."""

import ast
import subprocess
import sys
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
