"""Shared parts of the studies in benchmarks/."""

import argparse

import pytest

from benchmarks.shared import add_row, add_studies, data_synth, studies, trained, write_table
from ctrbench.runner.cell import failed_record
from ctrbench.store import Store
from tests.benchmark import matrix


def test_arguments_are_grouped_by_study(capsys):
    parser = argparse.ArgumentParser()
    add_studies(parser, "HOME", "FILE")
    assert studies(parser, ["a", "b", "c", "d"], "HOME", "FILE") == [("a", "b"), ("c", "d")]
    with pytest.raises(SystemExit):
        studies(parser, ["a", "b", "c"], "HOME", "FILE")
    assert "HOME FILE" in capsys.readouterr().err


def test_table_and_appended_rows(tmp_path):
    write_table("a.md", "one\ntwo\n", tmp_path)
    assert (tmp_path / "a.md").read_text() == "one\ntwo\n"
    for row in ("1", "2"):
        add_row("b.md", "head\n", row, tmp_path)
    assert (tmp_path / "b.md").read_text() == "head\n1\n2\n"


def test_worlds_have_no_pictures_by_default():
    assert "--pictures=0" in data_synth("home")
    assert data_synth("home", pictures=64)[-1] == "--pictures=64"


def test_failed_cell_ends_a_study(workspace, monkeypatch):
    cell = next(iter(matrix(workspace).cells()))
    monkeypatch.setattr(
        "benchmarks.shared.run_cells",
        lambda workspace, cells, *more: Store(workspace).update(
            failed_record(cells[0], "diverged", {})
        ),
    )
    with pytest.raises(SystemExit, match="diverged"):
        trained(workspace, [cell], "study", 1)
