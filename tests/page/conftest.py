"""A small world that was run once, and its page."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world
from tests.benchmark import SMALL, write

TEXT = (
    SMALL.replace("seeds: [0]", "seeds: [0, 1]").replace(
        "controls: none", "controls: [{kind: shuffled, versions: [oracle]}]"
    )
    + "slices: [unseen_items: true, history_below: 3]\n"
)


def call(home: Path, *words: object) -> str:
    """Call `ctrbench …` in a workspace; gives the output, raises what the command raises."""
    result = CliRunner().invoke(app, ["--home", str(home), *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Workspace:
    """With pictures; copy it before you change it."""
    home = tmp_path_factory.mktemp("reported")
    config = WorldConfig(kind="taste", users=80, items=60, impressions=4000, strength=1.0, seed=0)
    write_world(config, home, pictures=64)
    call(home, "run", write(home, TEXT))
    return Workspace(home)


@pytest.fixture(scope="session")
def file(made: Workspace) -> Path:
    return made.home / "benchmark.yaml"


@pytest.fixture(scope="session")
def page(made: Workspace, file: Path) -> Path:
    path = made.home / "report.html"
    call(made.home, "report", file, "-o", path)
    return path
