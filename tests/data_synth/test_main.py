import sys

import pytest

from data_synth.__main__ import main


def _run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["data_synth", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code or 0


def test_command_makes_a_world_and_says_what_is_attainable(monkeypatch, capsys, tmp_path):
    sizes = ["--users", "20", "--items", "12", "--impressions", "500", "--strength", "1"]
    assert _run(monkeypatch, "--out", str(tmp_path), *sizes) == 0
    said = capsys.readouterr().out
    assert "500 impressions" in said
    assert "versions oracle, noisy, random" in said
    assert "Attainable in its test period: GAUC" in said


def test_mistake_is_one_message_and_exit_code_two(monkeypatch, capsys, tmp_path):
    assert _run(monkeypatch, "--out", str(tmp_path / "new"), "--world", "tast") == 2
    assert "Did you mean 'taste'?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
