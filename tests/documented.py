"""Contenders that the pages of docs/ define."""

import re
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def code_of(name: str) -> str:
    """Return the complete file that defines a class, on whichever page."""
    text = "".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))
    files = re.findall(r'```python\n(""".*?)```', text, re.DOTALL)  # they begin with a docstring
    (code,) = (file for file in files if f"class {name}(" in file)
    return code


def documented(name: str) -> type:
    """Return a class that a page defines."""
    names: dict[str, Any] = {"__name__": "documented"}
    exec(code_of(name), names)
    return names[name]


def package_files() -> dict[tuple[str, str], str]:
    """Return the code of every contender of the documented package, by group and name."""
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    files = {}
    for group, points in tomllib.loads(text)["project"]["entry-points"].items():
        for name, point in points.items():
            module, found = point.split(":")
            assert module == f"my_contenders.{name}"
            files[group, name] = code_of(found)
    return files
