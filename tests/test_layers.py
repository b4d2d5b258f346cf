"""What import-linter cannot say: contenders of a plug-in folder never import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ctrbench
from ctrbench import plugins

ROOT = Path(ctrbench.__file__).parent
FOLDERS = ["injection", "datasets", "reports", "controls", "pretrain", "encoders", "models"]
HEAVY = ("torch", "pandas", "pyarrow", "duckdb", "faiss", "sklearn", "torchmetrics")


@pytest.mark.parametrize("folder", FOLDERS)
def test_contenders_do_not_import_each_other(folder):
    contenders = plugins.names(f"ctrbench.{folder}")
    assert contenders
    for name in contenders:
        tree = ast.parse((ROOT / folder / f"{name}.py").read_text(encoding="utf-8"))
        imported = {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
        }
        others = {f"ctrbench.{folder}.{other}" for other in contenders} - {name}
        assert not imported & others, name


def test_command_line_and_benchmark_files_load_nothing_heavy():
    code = (
        "import sys, ctrbench.cli.main, ctrbench.matrix, ctrbench.plugins as p\n"
        "from ctrbench.injection import Injection\n"
        "[p.load('ctrbench.injection', n, Injection) for n in p.names('ctrbench.injection')]\n"
        "from ctrbench.pretrain import PretrainMethod as M\n"
        "from ctrbench.encoders import Encoder as E\n"
        "[p.load('ctrbench.pretrain', n, M) for n in p.names('ctrbench.pretrain')]\n"
        "[p.load('ctrbench.encoders', n, E) for n in p.names('ctrbench.encoders')]\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
