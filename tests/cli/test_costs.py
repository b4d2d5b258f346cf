import json
import re
from types import SimpleNamespace

import pytest
from PIL import Image
from typer.testing import CliRunner

from ctrbench import embeddings
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, DataError
from ctrbench.runner.serving import measure_cost
from ctrbench.terminal.costs import _energy
from tests.benchmark import SMALL, matrix, write


def test_bytes_are_those_that_a_mode_reads(workspace):
    found = matrix(workspace)
    columns = {column.mode: column for column in found.columns}
    width = embeddings.read_manifest(workspace, "taste", "oracle").width
    expected = {
        "vector": 4 * width + 1,  # float32 entries and a mark for a missing image
        "sim_score": 4 + 4 * width,  # the mark, and the vectors that are scored
        "cluster_id": 8,
    }
    for mode, held in expected.items():
        cost = measure_cost(workspace, found.cell(found.rows[0], columns[mode], 0))
        assert cost.item_bytes == held
        assert cost.request_bytes == 11 * held  # the target and ten clicks
        assert 0 < cost.latency[1].median_s <= cost.latency[1].p99_s
    assert measure_cost(workspace, found.cell(None, None, 0)).item_bytes == 0


def test_parameters_are_those_of_the_record(workspace):
    from ctrbench.runner.cell import run_cell

    found = matrix(workspace)
    cell = found.cell(found.rows[0], found.columns[0], 0)
    record = run_cell(workspace, cell, (), {}, lambda share: None)
    assert measure_cost(workspace, cell).parameters == record.parameters


def test_table_and_drawing(workspace, run, tmp_path):
    file = write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1]"))
    before = run("cost", file)
    assert re.search(r"none\s+│\s+–\s+│", before)
    with pytest.raises(ConfigError, match="no gain is stored yet"):
        run("cost", file, "--output", tmp_path / "front.png")
    run("run", file, "--no-report")
    for against in ("latency", "bytes", "training"):
        output = run("cost", file, "--output", tmp_path / "front.png", "--against", against)
        assert "wrote" in output
    assert re.search(r"oracle / vector\s+│\s+[+-]\d+\.\d\d", output)
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.width > 500


def test_arm_that_cannot_be_measured_is_named_and_the_others_are_shown(workspace, monkeypatch):
    def refuse_vector(of_workspace, cell):
        if cell.mode == "vector":
            raise DataError("its vectors are unusable")
        return measure_cost(of_workspace, cell)

    monkeypatch.setattr("ctrbench.runner.costs.measure_cost", refuse_vector)
    file = write(workspace.home)
    result = CliRunner().invoke(app, ["--home", str(workspace.home), "cost", str(file)])
    assert result.exit_code == 1
    assert "oracle / vector: its vectors are unusable" in result.stderr
    assert "random / cluster_id" in result.stdout
    assert "/ vector" not in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--against", "money"], "one of latency, bytes, training"),
        (["--output", "front.xls"], r"front\.xls: .*\.png, \.svg, \.pdf"),
    ],
)
def test_bad_input(workspace, run, words, message):
    file = write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1]"))
    run("run", file, "--no-report")
    with pytest.raises(ConfigError, match=message):
        run("cost", file, *words)


def test_energy_is_stored_and_shown_where_it_is_available(workspace, run, monkeypatch):
    from ctrbench.runner import cell as module

    class Meter:
        def __init__(self):
            self.updates = 0

        def update(self):
            self.updates += 1

        def joules(self):
            return 7.25 if self.updates else None

    file = write(workspace.home)
    baseline = matrix(workspace).cell(None, None, 0)
    monkeypatch.setattr(module, "EnergyMeter", Meter)
    record = module.run_cell(workspace, baseline, (), {}, lambda share: None)
    assert record.facts["energy_j"] == 7.25
    arms = json.loads(run("cost", file, "--json"))["arms"]
    assert [arm["energy_j"] for arm in arms] == [7.25] + [None] * (len(arms) - 1)
    shown = [SimpleNamespace(name="none", energy_j=7.25), SimpleNamespace(name="x", energy_j=None)]
    assert _energy(SimpleNamespace(arms=shown)) == "Energy per cell: none 7 J."
    assert _energy(SimpleNamespace(arms=shown[1:])) == "Energy per cell: not available."
