"""The matrix commands as a user runs them, kill -9 included."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from ctrbench.cli._options import jobs_of
from ctrbench.environment import cores_of_quota
from ctrbench.errors import ConfigError
from tests.benchmark import BASELINE_ONLY, SMALL, matrix, write

COMMAND = [sys.executable, "-m", "ctrbench", "--home"]


def ctrbench(workspace, *arguments, expect=0):
    done = subprocess.run(
        [*COMMAND, str(workspace.home), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stderr
    return done


def records(workspace):
    """Every record; reading fails if one is half written."""
    paths = sorted(workspace.results.glob("*/*/*/[!.]*.json"))
    return [json.loads(path.read_bytes()) for path in paths]


def test_a_file_without_versions_measures_the_baseline(workspace):
    file = str(write(workspace.home, BASELINE_ONLY))
    done = ctrbench(workspace, "run", file)
    answer, _, title, detail = done.stdout.splitlines()[:4]
    assert answer == "The benchmark file compares no version; the table shows the baseline."
    assert title == "GAUC, delta against the baseline, pp"
    values = {one["cell"]["seed"]: one["metrics"]["test"]["gauc"] for one in records(workspace)}
    assert detail.startswith(f"Baseline {(values[0] + values[1]) / 2:.4f}; ")
    for command in ("run", "tables"):
        full = ctrbench(workspace, command, file, "--full").stdout
        assert "share of the attainable gain" not in full


def test_plan_run_status_tables(workspace):
    file = str(write(workspace.home))
    assert "7 cells: 0 stored, 7 to train." in ctrbench(workspace, "plan", file).stdout
    done = ctrbench(workspace, "run", file, "--jobs", "2")
    assert "[7/7]" in done.stderr
    assert "GAUC, delta against the baseline, pp" in done.stdout
    status = ctrbench(workspace, "status", file).stdout
    assert "7 cells: 7 done, 0 failed, 0 missing." in status
    table = json.loads(ctrbench(workspace, "tables", file, "--format", "json").stdout)
    assert table["columns"] == ["vector", "sim_score", "cluster_id"]
    path = workspace.home / "table.md"
    ctrbench(workspace, "tables", file, "--format", "markdown", "--output", str(path))
    assert "| oracle |" in path.read_text(encoding="utf-8")


def test_plan_and_run_repeat_findings_of_the_import(workspace):
    path = workspace.data / "taste" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"findings": ["Histories hold later clicks."]}))
    file = str(write(workspace.home))
    assert "taste: Histories hold later clicks." in ctrbench(workspace, "plan", file).stderr
    done = ctrbench(workspace, "run", file)
    assert "taste: Histories hold later clicks." in done.stderr
    assert "Histories hold later clicks." in done.stdout


def test_run_writes_the_report_and_tables_name_it(workspace):
    file = write(workspace.home)
    done = ctrbench(workspace, "run", str(file), "--no-report").stdout
    page = workspace.results / "reports" / "benchmark.html"
    assert not page.exists()
    assert done.count("\n\n") >= 2
    last = ctrbench(workspace, "tables", str(file)).stdout.splitlines()[-1]
    assert f"`ctrbench report {file} -o {page}`" in last
    done = ctrbench(workspace, "run", str(file)).stdout
    assert done.splitlines()[-1] == f"Report: {page}"
    assert "<html" in page.read_text(encoding="utf-8")
    assert ctrbench(workspace, "tables", str(file)).stdout == done
    os.utime(page, (0, 0))  # older than the cells
    last = ctrbench(workspace, "tables", str(file)).stdout.splitlines()[-1]
    assert "ctrbench report" in last
    whole = ctrbench(workspace, "tables", str(file), "--full").stdout
    assert "Split: " in whole
    assert "Split: " not in done
    assert str(page) not in whole


def test_a_report_that_cannot_be_written_changes_no_output(workspace):
    file = write(workspace.home)
    workspace.results.mkdir()
    (workspace.results / "reports").write_text("a file where the folder should be")
    done = ctrbench(workspace, "run", str(file))
    assert "GAUC, delta against the baseline" in done.stdout
    assert "The report was not written" in done.stderr
    assert "ctrbench report" in done.stdout.splitlines()[-1]


def test_tables_from_records_alone(workspace):
    """A fresh clone has neither data nor vectors nor predictions."""
    file = str(write(workspace.home))
    before = ctrbench(workspace, "run", file).stdout
    for folder in ("data", "embeddings", "cache"):
        (workspace.home / folder).rename(workspace.home / f"away-{folder}")
    for path in workspace.results.rglob("*.parquet"):
        path.unlink()
    assert ctrbench(workspace, "tables", file).stdout == before


def test_mistake_exits_with_2_and_no_traceback(workspace):
    done = ctrbench(workspace, "run", str(write(workspace.home, SMALL + "sedes: 1\n")), expect=2)
    assert "Did you mean 'seeds'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not workspace.results.exists()


def test_fewer_distinct_vectors_than_codes_is_an_error_before_the_run(workspace):
    text = SMALL.replace("[oracle, random]", "[constant]")
    for command in ("plan", "run"):
        printed = ctrbench(workspace, command, str(write(workspace.home, text)), expect=2).stderr
        assert "2 distinct vectors" in printed
    assert not workspace.results.exists()


def test_failed_cells_set_the_exit_code(workspace):
    text = SMALL.replace("vector: {width: 4}", "vector: {learning_rate_factor: 1e9}")
    done = ctrbench(workspace, "run", str(write(workspace.home, text)), expect=1)
    assert "2 cell(s) failed" in done.stderr
    assert "--retry-failed" in done.stderr


def test_tune_chooses_on_valid_and_writes_the_file(workspace):
    tuned = SMALL + "tune: {learning_rate: [1e-3, 1e-2], learning_rate_factor: [1, 3]}\n"
    file = write(workspace.home, tuned)
    out = ctrbench(workspace, "tune", str(file), "--write").stdout
    assert "Chosen on valid" in out
    found = {
        (r["cell"]["training"].get("learning_rate", 1e-3)): r["metrics"]["valid"]["gauc"]
        for r in records(workspace)
        if r["cell"]["mode"] == "none"
    }
    best = max(found, key=lambda rate: found[rate])
    assert matrix(workspace, file.read_text()).file.training[0].learning_rate == best
    per_mode = [r for r in records(workspace) if r["cell"]["mode"] != "none"]
    assert len(per_mode) == 3 * 2 * 2  # modes, factors, versions: as many trials for each mode


@pytest.mark.slow
def test_killed_run_resumes(workspace):
    file = str(write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1, 2, 3]")))
    command = [*COMMAND, str(workspace.home), "run", file, "--jobs", "2", "--no-report"]
    for enough in (3, 9):
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            found = re.match(r"\[(\d+)/", line)
            if found and int(found[1]) >= enough - 2:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    kept = {r["hash"]: r["finished"] for r in records(workspace)}
    assert 3 <= len(kept) < 28
    done = ctrbench(workspace, "run", file, "--jobs", "2")
    assert f"{len(kept)} cells stored, {28 - len(kept)} to train." in done.stderr
    after = {r["hash"]: r["finished"] for r in records(workspace)}
    assert len(after) == 28
    assert {key: after[key] for key in kept} == kept
    assert all(r["status"] == "done" for r in records(workspace))


@pytest.mark.slow
def test_two_runs_at_once_train_each_cell_once(workspace):
    file = str(write(workspace.home, SMALL.replace("seeds: [0]", "seeds: [0, 1]")))
    command = [*COMMAND, str(workspace.home), "run", file, "--jobs", "1", "--no-report"]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(records(workspace)) == 14
    one, two = (dict(re.findall(r"\] (.*): ([\d.]+) s", stderr)) for _, stderr in outputs)
    assert len(one | two) == 14
    both = one.keys() & two.keys()
    assert both
    assert {cell: one[cell] for cell in both} == {cell: two[cell] for cell in both}


@pytest.mark.parametrize(
    ("last", "cores"), [("max 100000", None), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_the_cpu_quota_of_a_container_limits_the_jobs(tmp_path, last, cores):
    file = tmp_path / "cpu.max"
    assert cores_of_quota(file) is None
    file.write_text(last + "\n")
    assert cores_of_quota(file) == cores


@pytest.mark.parametrize("text", ["0", "-1", "two", "٢", "99999999999999999999"])
def test_invalid_number_of_jobs_is_refused(text):
    with pytest.raises(ConfigError, match="give a number from 1 to 9999, or auto"):
        jobs_of(text)


def test_missing_loops_are_printed(workspace, monkeypatch, run):
    monkeypatch.setattr("ctrbench.runner.states.load_loops", lambda: None)
    file = write(workspace.home)
    assert "The compiled loops are missing" in run("plan", file)
    assert "The compiled loops are missing" in run("run", file)
