"""The commands of docs/cluster.md, run with stand-ins for the schedulers."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML

from tests.benchmark import BASELINE_ONLY, matrix

TEXT = BASELINE_ONLY + "repeat_baseline: false\n"

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
SBATCH = """#!/bin/bash
[[ "$1 $2" =~ ^--wait\\ --array=1-([0-9]+)$ ]] || exit 9
for index in $(seq "${BASH_REMATCH[1]}"); do SLURM_ARRAY_TASK_ID=$index bash "$3" || exit; done
"""
CTRBENCH = """#!/bin/bash
echo "$@" >> commands
if [ "$1" = cells ]; then cat listed; fi
"""


def block(heading, language, number=0):
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)[number]


@pytest.fixture
def shop(workspace, monkeypatch, run):
    """Give a workspace with shop.yaml as current folder, and the programs of the page.

    `ctrbench` stores its arguments in the file `commands`.
    """
    (workspace.home / "shop.yaml").write_text(TEXT)
    programs = workspace.home / "programs"
    programs.mkdir()
    for name, text in {"ctrbench": CTRBENCH, "sbatch": SBATCH}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.chdir(workspace.home)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (workspace.home / "listed").write_text(run("cells", "shop.yaml", "--format", "jsonl"))
    return workspace


def bash(*words, **environment):
    """Run a script, and return the arguments of the calls of ctrbench."""
    done = subprocess.run(
        ["bash", *words], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in Path("commands").read_text().splitlines()]


def hashes(workspace):
    return [cell.hash for cell in matrix(workspace, TEXT).cells()]


def stored(workspace):
    return {path.stem for path in workspace.results.glob("taste/none/none/*.json")}


def test_slurm(shop, run):
    (shop.home / "cell.sbatch").write_text(block("Slurm", "bash", 1))
    first, *jobs, last = bash("-c", block("Slurm", "bash", 0))
    assert run(*first) == (shop.home / "listed").read_text()
    assert jobs == [["run-cell", "shop.yaml", one] for one in hashes(shop)]
    for job in jobs:
        run(*job)
    assert stored(shop) == set(hashes(shop))
    assert "The benchmark file compares no version; the table shows the baseline." in run(*last)


def test_kubernetes(shop):
    spec = YAML(typ="safe").load(block("Kubernetes", "yml"))["spec"]
    bash("-c", block("Slurm", "bash", 0).splitlines()[0])
    (container,) = spec["template"]["spec"]["containers"]
    program, *words = container["command"]
    assert program == "bash"
    for index, one in enumerate(hashes(shop)):
        commands = bash(*words, JOB_COMPLETION_INDEX=str(index))
        assert commands[-1] == ["run-cell", "shop.yaml", one]


class Mapped:
    """A task of Airflow that runs at once."""

    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self.function() or self

    def expand(self, cell):
        for one in cell:
            self.function(one)
        return self

    def __rshift__(self, other):
        return other


def test_airflow(shop, monkeypatch, run):
    sdk = ModuleType("airflow.sdk")
    sdk.task = lambda function=None, **options: Mapped(function) if function else Mapped
    sdk.dag = lambda **options: lambda function: function
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)

    def call(words, **options):
        assert words[:3] == ["ctrbench", "--home", str(shop.home)]
        return subprocess.CompletedProcess(words, 0, run(*words[3:]))

    programs = ModuleType("subprocess")
    programs.run = call
    monkeypatch.setitem(sys.modules, "subprocess", programs)
    exec(block("Airflow", "py").replace("/workspace", str(shop.home)), {"__name__": "shown"})
    assert stored(shop) == set(hashes(shop))
