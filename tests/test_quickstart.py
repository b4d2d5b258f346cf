"""The Chinese quick start has the commands and the benchmark file of the English one."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: str) -> list[tuple[str, str]]:
    return FENCED.findall((ROOT / page).read_text(encoding="utf-8"))


def commands(page: str) -> list[list[str]]:
    """Return the words of every command; comments and spacing do not count."""
    lines = [line for name, code in blocks(page) if name == "bash" for line in code.splitlines()]
    return [line.split("#")[0].split() for line in lines]


def files(page: str) -> list[object]:
    return [YAML(typ="safe").load(code) for name, code in blocks(page) if name == "yaml"]


def inline(page: str) -> set[str]:
    """Return the commands within the text, whatever their line breaks."""
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return {" ".join(found.split()) for found in re.findall(r"`(ctrbench [^`]+)`", text)}


@pytest.mark.parametrize("part", [commands, files])
def test_commands_and_benchmark_file_are_those_of_the_readme(part):
    assert part("README.md")
    assert part("docs/quickstart.zh.md") == part("README.md")


def test_commands_within_the_text_are_those_of_the_readme():
    assert inline("docs/quickstart.zh.md") <= inline("README.md")
    assert inline("docs/quickstart.zh.md")


def test_both_pages_link_each_other():
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:5]
    assert any("](docs/quickstart.zh.md)" in line for line in first)
    assert "](../README.md)" in (ROOT / "docs/quickstart.zh.md").read_text(encoding="utf-8")
