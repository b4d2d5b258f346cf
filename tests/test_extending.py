"""The contenders that the pages of docs/ define work, alone and as one package."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from typer.testing import CliRunner

from ctrbench.analysis import compare
from ctrbench.batches.packing import Packer
from ctrbench.cli.main import app
from ctrbench.errors import DataError
from ctrbench.impressions import open_impressions
from ctrbench.metrics import Scored
from ctrbench.models.din import DIN
from ctrbench.reports import entry_text
from ctrbench.store import Store
from ctrbench.trackers import TrackedRun
from ctrbench.workspace import Workspace
from tests.analysis.made import arm, baseline, plan
from tests.benchmark import write
from tests.documented import code_of, documented, package_files
from tests.installing import package_of
from tests.test_contracts import ROWS, SETTINGS, build, images

BENCHMARK = """\
dataset: taste
versions: [oracle]
modes: [brightness]
seeds: [0]
controls: none
repeat_baseline: false
model: {backbone: last_click, embedding_size: 4, top: [8], history_length: 10}
training: {batch_size: 256}
"""


def test_documented_mode_runs_and_changes_the_logits(slots):
    mode = documented("Brightness")()
    prepared = mode.prepare(images(slots), slots, 0)
    packer = Packer(slots, SETTINGS, prepared.item, prepared.slot)
    model = DIN(packer.sizes, SETTINGS, mode, prepared, packer.pack(ROWS[:8], None), 0)
    baseline, _ = build("none", slots)
    batch = packer.pack(ROWS, None)
    assert not torch.equal(model(batch), baseline(batch))


def test_documented_metric_equals_scikit_learn_and_its_influence_sums_to_zero():
    draw = np.random.default_rng(0)
    click, p = draw.integers(0, 2, 60), draw.random(60)
    user, item, weight = draw.integers(0, 9, 60), draw.integers(0, 5, 60), draw.random(60) + 0.1
    metric = documented("Brier")("brier")
    scored = Scored.of(click, p, user, weight, item_id=item)
    expected = brier_score_loss(click, p, sample_weight=weight)
    assert metric.value(scored) == pytest.approx(expected)
    found = metric.influence(scored)
    assert found.value == metric.value(scored)
    assert found.items.per_item.sum() == pytest.approx(0)
    assert found.per_user.shape == (9,)


def test_documented_table_format_writes_the_entries():
    made = compare(plan(), {**baseline(), **arm("raw / vector", (0.1, 0.3))})
    head, *lines = documented("Tabs")().render(made).splitlines()
    assert head.split("\t") == [made.blocks[0].title, *made.headers]
    expected = [[row.title, *map(entry_text, row.entries)] for row in made.blocks[0].lines]
    assert [line.split("\t") for line in lines] == expected


def test_documented_importer_creates_a_data_set(tmp_path, monkeypatch):
    source, home = tmp_path / "likes.csv", tmp_path / "home"
    rows = [f"u{n % 7},{n % 11},{int(n % 3 == 0)},{1000 + n}" for n in range(500)]
    source.write_text("\n".join(["user,item,liked,time", *rows]))
    with package_of({("ctrbench.datasets", "likes"): code_of("Likes")}, tmp_path, monkeypatch):
        words = ["--home", home, "datasets", "import", "likes", "--name", "liked", "--source"]
        done = CliRunner().invoke(app, list(map(str, [*words, source])))
        assert done.exit_code == 0, done.output
        missing = CliRunner().invoke(app, list(map(str, [*words, tmp_path / "none.csv"])))
        assert isinstance(missing.exception, DataError)
    log = open_impressions(Workspace(home), "liked")
    assert len(log.click) == 500
    assert log.click.sum() == 167


def test_the_documented_package_runs_in_one_matrix(tmp_path, monkeypatch, workspace):
    def run(*words: object) -> str:
        done = CliRunner().invoke(app, ["--home", str(workspace.home), *map(str, words)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    files = package_files()
    with package_of(files, tmp_path, monkeypatch):
        listed = dict(line.split(": ", 1) for line in run("list").splitlines())
        names = {name for text in listed.values() for name in text.split("  (")[0].split(", ")}
        assert {name for _, name in files} <= names
        file = write(workspace.home, BENCHMARK)
        shown = run("run", file, "--format", "tabs", "--no-report", "--jobs", 1)
        assert "brightness" in shown.splitlines()[0]
        words = ("compare", "oracle/brightness", "none", "--file", file, "--metric", "brier")
        compared = json.loads(run(*words, "--json"))["compared"]
        stored = Store(workspace).records("taste")
        found = {one.cell.mode: one.metrics["test"].value("brier") for one in stored}
    assert compared["value"] == pytest.approx(found["brightness"])
    assert compared["reference"] == pytest.approx(found["none"])
    assert 0 < found["brightness"] != found["none"]


def test_documented_tracker_appends_each_run_once(tmp_path):
    tracker = documented("Lines")(tmp_path, "shop")
    tracker.start()
    assert not tracker.has("abc")
    tracker.log(TrackedRun("abc", "a cell", metrics={"test/gauc": 0.5}))
    assert tracker.has("abc")
    assert (
        tmp_path / "runs.jsonl"
    ).read_text() == '{"key": "abc", "metrics": {"test/gauc": 0.5}}\n'
