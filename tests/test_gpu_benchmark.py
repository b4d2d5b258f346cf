import re
import sys

import pytest

from benchmarks.speed import gpu


@pytest.fixture
def output(tmp_path, monkeypatch, capsys):
    """Give a function that runs the benchmark on the CPU and returns what it prints."""

    def run(minutes):
        words = ["--home", tmp_path / "home", "--device", "cpu", "--modes", "vector"]
        words += ["--impressions", 2000, "--minutes", minutes]
        monkeypatch.setattr(sys, "argv", ["gpu", *map(str, words)])
        gpu.main()
        return capsys.readouterr().out

    return run


def test_every_part_is_measured(output, monkeypatch):
    monkeypatch.setattr(gpu, "BATCH_SIZES", (1024,))
    monkeypatch.setattr(gpu, "AT_ONCE", (2,))
    text = output(5)
    for mode in ("none", "vector"):  # the device is the CPU, so that it agrees with itself
        assert re.search(rf"^\| {mode} \| 0\.0e\+00 \| 0\.\d+ \| \+0\.000 \| [+-]\d", text, re.M)
        assert re.search(rf"^\| {mode} \| [\d,]+ \| [\d,]+ \|$", text, re.M)
    assert re.search(r"^\| 2 \| [\d,]+ \| [\d,]+ \|$", text, re.M)
    assert "Left out" not in text


def test_what_does_not_fit_into_the_time_is_named(output):
    text = output(0)
    assert "Left out after 0 minutes: agreement of none, agreement of vector, none, " in text
    assert "8 cells at once" in text
