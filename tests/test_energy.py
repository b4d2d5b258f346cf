"""Counters made of files: restarts, other processes, and machines without counters."""

import os
import time

import pytest

from ctrbench.energy import EnergyMeter

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that sets the counters and the processor times of a machine."""
    zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:1": "psys"}
    for zone, name in zones.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text("100000000\n")

    def state(joules: float, busy_s: float, own_s: float) -> None:
        for zone in zones:
            (tmp_path / zone / "energy_uj").write_text(f"{int(1e6 * joules)}\n")
        (tmp_path / "stat").write_text(
            f"cpu  {int(busy_s * TICKS)} 0 0 999999 7 0 0 0 0 0\ncpu0 1\n"
        )
        monkeypatch.setattr(time, "process_time", lambda: own_s)

    return state, tmp_path


def test_energy_is_that_of_the_packages_times_the_share_of_the_process(machine):
    state, folder = machine
    state(10, 100, 1)
    meter = EnergyMeter(folder, folder / "stat")
    state(50, 120, 6)
    assert meter.joules() == pytest.approx(40 * 5 / 20)
    state(60, 130, 16)
    assert meter.joules() == pytest.approx(10 + 10)


def test_a_counter_that_restarts(machine):
    state, folder = machine
    state(90, 0, 0)
    meter = EnergyMeter(folder, folder / "stat")
    state(20, 10, 10)
    assert meter.joules() == pytest.approx(30)


def test_updates_read_only_when_due(machine, monkeypatch):
    state, folder = machine
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    state(0, 0, 0)
    meter = EnergyMeter(folder, folder / "stat")
    state(90, 1, 1)
    meter.update()  # not due
    now[0] = 10.0
    meter.update()
    state(30, 2, 2)  # restarted once since the last reading
    assert meter.joules() == pytest.approx(130)


def test_without_readable_counters_there_is_no_energy(machine):
    state, folder = machine
    assert EnergyMeter(folder / "nowhere", folder / "stat").joules() is None
    state(1, 1, 1)
    assert EnergyMeter(folder, folder / "nowhere").joules() is None
    meter = EnergyMeter(folder, folder / "stat")
    (folder / "intel-rapl:0" / "energy_uj").write_text("text")
    assert meter.joules() is None
    assert meter.joules() is None
