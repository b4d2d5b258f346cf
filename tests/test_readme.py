"""Pages quote published tables and output verbatim, and their code and commands are valid.

`python -m tests.test_readme` copies changed published tables and output into the pages.
"""

import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

from ctrbench.benchmark_file import read_benchmark
from ctrbench.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUOTED = re.compile(r"<!-- from (?P<source>\S+) -->\n\n(?P<block>.*?)\n\n<!-- end -->", re.DOTALL)
PRINTED = re.compile(
    r"<!-- output of ctrbench (?P<source>.+?) -->\n\n```text\n(?P<block>.*?)\n```\n\n<!-- end -->",
    re.DOTALL,
)
FENCED = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(found["language"], found["code"], id=f"{page.name}-{number}")
    for page in PAGES
    for number, found in enumerate(FENCED.finditer(page.read_text(encoding="utf-8")))
]


def _published(source: str, block: str) -> str:
    """Return the lines of the source from the first line of the block, as many as it has."""
    return _lines((ROOT / source).read_text(encoding="utf-8"), block)


def _lines(text: str, block: str) -> str:
    """Return the lines of a text from the first line of the block, as many as it has."""
    lines, quoted = text.splitlines(), block.splitlines()
    start = lines.index(quoted[0])
    return "\n".join(lines[start : start + len(quoted)])


@cache
def _output(command: str) -> str:
    """Return what a command prints from the published results."""
    done = CliRunner().invoke(app, ["--home", str(ROOT), *shlex.split(command)])
    assert done.exit_code == 0, done.output
    return done.stdout


def _printed(command: str, block: str) -> str:
    """Return the lines of the output from the first line of the block, as many as it has."""
    return _lines(_output(command.replace("benchmarks/", f"{ROOT}/benchmarks/")), block)


def test_some_page_quotes_tables():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(QUOTED.findall(text)) for text in texts) > 0
    for text in texts:
        assert len(QUOTED.findall(text)) == text.count("<!-- from ")
        assert len(PRINTED.findall(text)) == text.count("<!-- output of ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quoted_tables_equal_the_published_ones(page):
    for found in QUOTED.finditer(page.read_text(encoding="utf-8")):
        assert found["block"] == _published(found["source"], found["block"]), found["source"]


@pytest.mark.parametrize(
    ("command", "block"),
    [found.groups() for page in PAGES for found in PRINTED.finditer(page.read_text("utf-8"))],
)
def test_quoted_output_is_what_the_command_prints(command, block):
    assert block == _printed(command, block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_of_numbers_are_quoted(page):
    """A table with intervals is copied from a published file."""
    text = QUOTED.sub("", page.read_text(encoding="utf-8"))
    assert not re.search(r"^\|.*[+-]\d\.\d+ \\?\[", text, re.MULTILINE)


PYTHON = [block for block in BLOCKS if block.values[0] == "python"]


@pytest.mark.parametrize(  # tests/api/test_notebook.py runs the blocks that need a workspace
    ("language", "code"), [block for block in PYTHON if not str(block.id).startswith("python.md")]
)
def test_python_blocks_run(language, code):
    rng = np.random.default_rng(0)
    user_id, click = rng.integers(0, 20, 400), rng.integers(0, 2, 400)
    p_click, p_new, p_old = rng.random((3, 400))
    given = {"click": click, "user_id": user_id, "p_click": p_click}
    exec(code, {"__name__": "shown", **given, "p_new": p_new, "p_old": p_old})


@pytest.mark.parametrize(  # cli/test_ci_recipe.py runs the pipelines
    ("language", "code"),
    [b for b in BLOCKS if b.values[0] == "yaml" and not str(b.values[1]).startswith("# .git")],
)
def test_yaml_blocks_are_benchmark_files(language, code, tmp_path):
    file = tmp_path / "shown.yaml"
    file.write_text(code, encoding="utf-8")
    assert read_benchmark(file).dataset


@pytest.mark.parametrize(("language", "code"), [b for b in BLOCKS if b.values[0] == "bash"])
def test_commands_and_their_options_exist(language, code):
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "ctrbench" in words:
            _check(words[words.index("ctrbench") + 1 :])


def _check(words: list[str]) -> None:
    """Check that the command and its options exist."""
    command = typer.main.get_command(app)
    while get := getattr(command, "get_command", None):
        command = get(typer.Context(command), words.pop(0))
    assert command is not None
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known, command.name


def main() -> None:
    """Copy the published tables and the output of commands into the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for pattern, current in ((QUOTED, _published), (PRINTED, _printed)):
            text = pattern.sub(
                lambda found, current=current: found[0].replace(
                    found["block"], current(found["source"], found["block"])
                ),
                text,
            )
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
