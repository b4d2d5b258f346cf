"""The wheel and the source archive, built as `pip install` builds them."""

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta as b; b.build_{0}(sys.argv[1])"
LOADED = "import ctrbench; from ctrbench.loops import load_loops; " + (
    "print(ctrbench.__file__, load_loops() is not None)"
)


def build(kind: str, source: Path, folder: Path, **environment: str) -> Path:
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", BUILD.format(kind), str(folder)],
        cwd=source,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The unpacked source archive, from which wheels are built."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    source.mkdir()
    kept = shutil.ignore_patterns("*.so", "__pycache__")
    for name in ("ctrbench", "data_synth", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=kept)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    archive = build("sdist", source, folder / "sdist")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_the_source_archive_holds_the_package_alone(unpacked):
    assert {path.name for path in unpacked.iterdir() if path.is_dir()} == {
        "ctrbench",
        "ctrbench.egg-info",
    }


@pytest.mark.parametrize("compiler", [shutil.which("cc"), "/bin/false"])
def test_the_wheel_works_with_and_without_a_compiler(unpacked, tmp_path, compiler):
    if compiler is None:
        pytest.skip("there is no C compiler: `cc` is not on the path")
    source = shutil.copytree(unpacked, tmp_path / "source")
    wheel = build("wheel", source, tmp_path / "wheel", CC=compiler)
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    installed = {path.name for path in site.iterdir() if path.suffix != ".dist-info"}
    assert installed == {"ctrbench"}
    compiled = list((site / "ctrbench" / "loops").glob("_compiled.*"))
    assert len(compiled) == (compiler != "/bin/false")
    ours = {path.relative_to(ROOT) for path in (ROOT / "ctrbench").rglob("*") if path.is_file()}
    ours = {p for p in ours if p.suffix not in (".so", ".pyc")}
    assert ours <= {path.relative_to(site) for path in site.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADED],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(site / "ctrbench" / "__init__.py"), str(bool(compiled))]


def test_every_import_is_of_a_declared_requirement():
    """Check that no package is found only because another one happens to install it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    imported: dict[str, Path] = {}
    for file in (ROOT / "ctrbench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                named = [str(node.module)]
            imported |= {name.split(".")[0]: file.relative_to(ROOT) for name in named}
    own = {"ctrbench", "_typeshed", *sys.stdlib_module_names}
    installed_by = packages_distributions()
    undeclared = {
        name: file
        for name, file in imported.items()
        if name not in own
        and name in installed_by  # else no other package hides that it is missing
        and not {canonicalize_name(one) for one in installed_by[name]} & declared
    }
    undeclared.pop("sentence_transformers", None)  # an error says how to install it
    assert undeclared == {}
    assert len(imported.keys() - own) > 15
