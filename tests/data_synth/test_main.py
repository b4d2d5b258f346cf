import sys

import pytest

from data_synth.__main__ import main


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["data_synth", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code or 0


SIZES = ["--users", "20", "--items", "12", "--impressions", "500"]


def test_command_makes_a_world_and_says_what_is_attainable(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "--out", str(tmp_path), *SIZES, "--strength", "1") == 0
    said = capsys.readouterr().out
    assert "500 impressions" in said
    assert "histogram" in said
    assert "oracle" in said
    assert "Attainable in its test period: GAUC" in said
    assert f"{tmp_path}/pictures/taste.png" in said


def test_plan_says_sizes_and_writes_nothing(monkeypatch, capsys, tmp_path):
    out = tmp_path / "new"
    sizes = ["--users", "1000000", "--items", "100000", "--impressions", "100000000"]
    assert _run(monkeypatch, "--out", str(out), *sizes, "--pictures", "0", "--plan") == 0
    said = capsys.readouterr().out
    assert "GB on disk" in said
    assert "Nothing was written" in said
    assert not out.exists()


def test_mistake_is_one_message_and_exit_code_two(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "--out", str(tmp_path / "new"), "--world", "tast") == 2
    assert "Did you mean 'taste'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
