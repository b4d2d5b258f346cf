"""Energy of a piece of work, by the counters of the processor that Linux shows (RAPL)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

POWERCAP, STAT = Path("/sys/class/powercap"), Path("/proc/stat")
INTERVAL_S = 10.0  # between two readings; a counter restarts after minutes to hours


class EnergyMeter:
    """Sums the energy of all processor packages, times the share of this process in their work.

    The share is the processor time of this process over that of all processes. The energy therefore
    includes its part of idle power, but neither memory, disks nor graphics processors.
    """

    def __init__(self, powercap: Path = POWERCAP, stat: Path = STAT) -> None:
        """Read the counters for the first time.

        Args:
            powercap: The folder of the counters.
            stat: The file with the processor times of all processes.
        """
        self._powercap, self._stat = powercap, stat
        self._joules: float | None = 0.0
        self._last: tuple[dict[Path, int], float, float] | None = None
        self._due = 0.0
        self.update()

    def update(self) -> None:
        """Read the counters if the last reading is old enough."""
        if self._joules is not None and time.monotonic() >= self._due:
            self._read()

    def joules(self) -> float | None:
        """Return the energy until now; None where the counters cannot be read."""
        if self._joules is not None:
            self._read()
        return self._joules

    def _read(self) -> None:
        """Add the energy since the last reading; no error ends the measured work."""
        self._due = time.monotonic() + INTERVAL_S
        now = None
        with suppress(OSError, ValueError, IndexError):
            now = _counters(self._powercap), _busy_s(self._stat), time.process_time()
        if now is None or not now[0]:
            self._joules = None
            return
        if self._last is not None and self._joules is not None:
            before, busy, own = self._last
            used = sum(_used(zone, before.get(zone, end), end) for zone, end in now[0].items())
            work = now[1] - busy
            share = min((now[2] - own) / work, 1.0) if work > 0 else 1.0
            self._joules += used / 1e6 * share
        self._last = now


def _counters(powercap: Path) -> dict[Path, int]:
    """Return the counter of each processor package, in microjoules."""
    zones = (path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)
    return {
        zone: int((zone / "energy_uj").read_text())
        for zone in sorted(zones)
        if (zone / "name").read_text().startswith("package")
    }


def _used(zone: Path, start: int, end: int) -> int:
    """Return the difference of two readings of a counter, which may have restarted at 0."""
    if end >= start:
        return end - start
    with suppress(OSError, ValueError):
        return end - start + int((zone / "max_energy_range_uj").read_text())
    return end


def _busy_s(stat: Path) -> float:
    """Return the processor time of all processes in seconds."""
    user, nice, system, _, _, *interrupts = map(int, stat.read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + sum(interrupts[:2])) / os.sysconf("SC_CLK_TCK")
