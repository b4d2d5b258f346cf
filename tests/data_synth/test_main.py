import sys

import pytest

from data_synth.__main__ import main


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["data_synth", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code or 0


SIZES = ["--users", "20", "--items", "12", "--impressions", "500"]


def test_command_makes_a_world_and_prints_attainable_metrics(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "--out", str(tmp_path), *SIZES, "--strength", "1") == 0
    printed = capsys.readouterr().out
    assert "500 impressions" in printed
    assert "histogram" in printed
    assert "oracle" in printed
    assert "Attainable in its test period: GAUC" in printed
    assert f"{tmp_path}/pictures/taste.png" in printed


def test_plan_prints_sizes_and_writes_nothing(monkeypatch, capsys, tmp_path):
    out = tmp_path / "new"
    sizes = ["--users", "1000000", "--items", "100000", "--impressions", "100000000"]
    assert _run(monkeypatch, "--out", str(out), *sizes, "--pictures", "0", "--plan") == 0
    printed = capsys.readouterr().out
    assert "GB on disk" in printed
    assert "Nothing was written" in printed
    assert not out.exists()


def test_invalid_option_prints_one_message_and_exits_with_two(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "--out", str(tmp_path / "new"), "--world", "tast") == 2
    assert "Did you mean 'taste'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
