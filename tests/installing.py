"""Installs contenders as entry points of another package."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGE = "extra_contenders"


@contextmanager
def package_of(
    files: Mapping[tuple[str, str], str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Install a package with one file per contender.

    Args:
        files: The code by group and name. The last public class of a file is the contender.
        folder: An empty folder.
        monkeypatch: Adds the folder to the path.
    """
    site = folder / "site"
    package, facts = site / PACKAGE, site / f"{PACKAGE}-1.0.dist-info"
    package.mkdir(parents=True)
    facts.mkdir()
    (package / "__init__.py").touch()
    points = []
    for (group, name), code in files.items():
        (package / f"{name}.py").write_text(code)
        contender = re.findall(r"^class (\w+)\(", code, re.MULTILINE)[-1]
        points.append(f"[{group}]\n{name} = {PACKAGE}.{name}:{contender}\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-contenders\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(str(site))
    yield
    for module in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[module]
