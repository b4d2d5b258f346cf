"""`import ctrbench`: the names that a notebook needs, each imported on first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ctrbench

HEAVY = ("torch", "numpy", "pandas", "duckdb", "pydantic")


def test_import_loads_no_library():
    code = f"import sys, ctrbench; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def declared(package):
    """Return the module of each name that the stub of a package declares."""
    stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
    return {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_exported_names_equal_those_of_the_stub():
    package = vars(ctrbench)
    modules = {
        name: "ctrbench" if module == f"ctrbench.{name}" else module
        for name, module in package["_MODULES"].items()
    }
    assert declared(ctrbench) == modules
    assert sorted(package["__all__"]) == sorted(modules)
    for name in modules:
        assert getattr(ctrbench, name).__name__ in (name, f"ctrbench.{name}")
    assert set(modules) <= set(dir(ctrbench))


@pytest.mark.parametrize("part", [ctrbench.datasets, ctrbench.embeddings])
def test_names_of_a_part_equal_those_of_its_stub(part):
    package = vars(part)
    found = declared(part)
    assert set(found) == {*package["__all__"], *package["_API"]}
    for name, module in package["_API"].items():
        assert found[name] == module
        assert getattr(part, name).__module__ == module


def test_no_module_hides_an_exported_name():
    folder = Path(ctrbench.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    assert modules & set(ctrbench.__all__) == {"datasets", "embeddings"}


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        vars(ctrbench)["__getattr__"]("nothing")
