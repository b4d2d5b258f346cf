"""docs/ci.md: its commands are run as the two pipelines run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from ctrbench.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
ELSEWHERE = ("pip ", "gh ", "curl ")  # they need the network
SUMMARY = "summary.md"


def pipelines() -> dict[str, list[str]]:
    """The commands of each pipeline, in order, and those that run in any case."""
    github, gitlab = (YAML(typ="safe").load(part.split("```")[0]) for part in _blocks())
    (job,) = github["jobs"].values()
    return {
        "github": [step["run"] for step in job["steps"] if "run" in step],
        "gitlab": [*gitlab["embedding-gate"]["script"], *gitlab["embedding-gate"]["after_script"]],
    }


def _blocks() -> list[str]:
    return PAGE.split("```yaml\n")[1:]


def write_predictions(folder: Path, better: float) -> None:
    """Predictions of 60 users with 20 impressions each; `new` knows more of the clicks."""
    chance = np.random.default_rng(0)
    click = chance.random(1200) < 0.3
    for name, signal in (("old", 0.3), ("new", 0.3 + better)):
        score = signal * click + chance.normal(0, 1, 1200)
        columns = {
            "user_id": np.repeat(np.arange(60), 20),
            "item_id": np.tile(np.arange(100), 12),
            "click": click.astype(int),
            "p_click": 1 / (1 + np.exp(-score)),
        }
        pd.DataFrame(columns).to_parquet(folder / f"{name}.parquet")


def shell(command: str, folder: Path) -> int:
    alias = f'ctrbench() {{ "{sys.executable}" -m ctrbench "$@"; }}\n'
    environment = os.environ | {"GITHUB_STEP_SUMMARY": str(folder / SUMMARY)}
    return subprocess.run(
        ["bash", "-ec", alias + command], cwd=folder, env=environment, capture_output=True
    ).returncode


@pytest.mark.parametrize("pipeline", ["github", "gitlab"])
@pytest.mark.parametrize(("better", "code"), [(2.0, 0), (-2.0, 1)])
def test_a_worse_model_fails_the_pipeline_and_leaves_the_comment(tmp_path, pipeline, better, code):
    write_predictions(tmp_path, better)
    commands = [one for one in pipelines()[pipeline] if not one.startswith(ELSEWHERE)]
    codes = [shell(command, tmp_path) for command in commands]
    assert codes[0] == code
    assert not any(codes[1:])
    result = json.loads((tmp_path / "compare.json").read_text())
    assert (result["gate"], result["failed"]) == ("worse", bool(code))
    assert result["verdict"] == ("worse" if code else "better")
    comment = (tmp_path / "compare.md").read_text()
    verdict = f"new.parquet is {result['verdict']}."
    assert comment.splitlines()[0] == f"### ctrbench: {verdict}"
    assert comment.splitlines()[2] == f"**Gate --fail-on worse: {'failed' if code else 'passed'}.**"
    estimate = 100 * result["compared"]["inference"]["estimate"]
    assert f"| difference, pp | {estimate:+.3f} [" in comment
    if pipeline == "github":
        assert (tmp_path / SUMMARY).read_text() == comment


def test_the_skipped_commands_post_the_comment():
    every = [command for commands in pipelines().values() for command in commands]
    posted = [command for command in every if command.startswith(("gh ", "curl "))]
    assert len(posted) == 2
    assert all("compare.md" in command for command in posted)


def test_the_result_file_equals_the_json_output(tmp_path, monkeypatch):
    write_predictions(tmp_path, 2.0)
    monkeypatch.chdir(tmp_path)
    words = ["compare", "new.parquet", "old.parquet", "--json", "-o", "a.json"]
    printed = CliRunner().invoke(app, words).stdout
    assert (tmp_path / "a.json").read_text() == printed


def test_another_ending_is_refused_before_the_comparison(tmp_path):
    words = ["compare", "absent.parquet", "old.parquet", "-o", "result.txt"]
    message = str(CliRunner().invoke(app, words).exception)
    assert message == "result.txt ends neither in .json nor in .md; rename it."
