"""docs/api.md documents every public name of the package."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import ctrbench

PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def documented() -> set[int]:
    """Return the identity of every object that the page shows."""
    found: set[int] = set()
    for part in PAGE.read_text(encoding="utf-8").split("\n::: ")[1:]:
        name, *rest = part.split("\n")
        block = "\n".join(line for line in rest if line.startswith("    "))
        options = (YAML(typ="safe").load(block) or {}).get("options", {})
        for one in options.get("members", [""]):
            found |= shown(".".join(filter(None, (name, one))))
    return found


def shown(name: str) -> set[int]:
    """Return the identity of an object; of a module, that of each public member."""
    try:
        module = import_module(name)
    except ModuleNotFoundError:
        module_name, _, attribute = name.rpartition(".")
        return {id(getattr(import_module(module_name), attribute))}
    return {id(getattr(module, one)) for one in module.__all__}


def public() -> list[Any]:
    """Return every object that `ctrbench`, `ctrbench.datasets` and `ctrbench.embeddings` export."""
    top = {name: getattr(ctrbench, name) for name in vars(ctrbench)["__all__"]}
    modules = {name: one for name, one in top.items() if inspect.ismodule(one)}
    found = {name: one for name, one in top.items() if name not in modules}
    for name, module in modules.items():
        found |= {f"{name}.{one}": getattr(module, one) for one in vars(module)["_API"]}
    return [pytest.param(one, id=name) for name, one in found.items()]


DOCUMENTED = documented()


@pytest.mark.parametrize("one", public())
def test_every_public_name_is_on_the_page(one):
    assert id(one) in DOCUMENTED
