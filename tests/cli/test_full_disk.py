"""A full disk: one message, no half file, and the command works later. The limit on the size of a
file stands for the disk, because a test cannot fill one without root."""

import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.errors import StoreError
from ctrbench.impressions import raw_item_ids
from ctrbench.runner import run_matrix
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix

ONE_CELL = SMALL.replace("  sim_score: {}\n", "").replace("  vector: {width: 4}\n", "")
QUICK = ("training.epochs=1", "training.width=16", "training.checkpoint_s=0.000001")
LIMIT = 1024  # bytes
NEW = 500  # items to encode


@pytest.fixture(scope="module")
def trained(made_workspace, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("full") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, ONE_CELL.replace("[oracle, random]", "[oracle]")))
    rng = np.random.default_rng(0)
    ids = raw_item_ids(workspace, "taste")
    for name, given in {"new": [f"new{i}" for i in range(NEW)], "all": ids}.items():
        np.save(home / f"{name}.npy", rng.normal(size=(len(given), 48)).astype(np.float32))
        (home / f"{name}.txt").write_text("\n".join(given) + "\n")
    rows = [f"{rng.integers(9)},{rng.integers(9)},{i % 2},{i}" for i in range(4000)]
    (home / "log.csv").write_text("\n".join(["user_id,item_id,click,timestamp", *rows]) + "\n")
    (cell,) = (home / "results").glob("taste/oracle/cluster_id/*.json")
    invoke(home, "export", cell.stem, "-o", home / "exported")
    return home


@pytest.fixture
def home(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "home"))


def invoke(home, *words):
    return CliRunner().invoke(app, ["--home", str(home), *map(str, words)])


@contextmanager
def small_files():
    """Limit the size of files within the block; writing more is an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(home):
    """All files but those of the cache, and partial files also there."""
    found = (path for path in home.rglob("*") if path.is_file())
    return {
        path for path in found if home / "cache" not in path.parents or ".partial-" in str(path)
    }


def given(home, name):
    return ("--vectors", home / f"{name}.npy", "--ids", home / f"{name}.txt")


def pretrain(home):
    changes = (word for change in QUICK for word in ("--set", change))
    words = ("pretrain", "courier", "--dataset", "taste", "--version", "made")
    return (*words, "--from-version", "oracle", *changes)


def exported(home):
    (cell,) = (home / "results").glob("taste/oracle/cluster_id/*.json")
    return ("export", cell.stem, "-o", home / "out")


COMMANDS = {
    "import": lambda home: (
        *("datasets", "import", "table", "--name", "log", "--impressions", home / "log.csv"),
        *("--split", "time:20/50/10/20"),
    ),
    "add": lambda home: ("embeddings", "add", "v", "--dataset", "taste", *given(home, "all")),
    "pretrain": pretrain,
    "report": lambda home: ("report", home / "benchmark.yaml", "-o", home / "out.html"),
    "export": exported,
    "encode": lambda home: (
        *("encode", home / "exported", *given(home, "new"), "-o", home / "out.parquet"),
    ),
    "export-predictions": lambda home: (
        *("export-predictions", home / "benchmark.yaml", "-o", home / "out"),
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_full_disk_leaves_nothing_and_the_command_works_later(home, command):
    words, before = COMMANDS[command](home), files(home)
    with small_files():
        failed = invoke(home, *words)
    assert isinstance(failed.exception, StoreError), failed.output
    assert str(failed.exception).startswith(("cannot write ", "cannot work in "))
    assert files(home) == before
    again = invoke(home, *words)
    assert again.exit_code == 0, again.output


def test_full_disk_stops_a_run_which_continues_later(home):
    shutil.rmtree(home / "results")
    words = [sys.executable, "-m", "ctrbench", "--home", home, "run", home / "benchmark.yaml"]
    words += ["--quiet", "--keep-models"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))  # a record is larger

    for preparation, code in ((limit, 2), (None, 0)):
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, preexec_fn=preparation
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        records = sorted((home / "results").glob("taste/*/*/*.json"))
        assert len(records) == (0 if code else 2)
    assert not list(home.rglob(".partial-*"))
