"""Expected size and time of a world, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from data_synth.vectors import BINS, NOISE_RATIOS, PIXELS, WIDTH
from data_synth.world import WorldConfig

# Measured on two cores of a 2.25 GHz server processor with benchmarks/speed/data_synth.py.
TRUTH_BYTES = 14  # per impression in the truth folder
TABLE_BYTES = 16  # per impression in the data set
WORK_BYTES = 70  # per impression while the data set is built
DRAWN_PER_S = 600_000  # impressions that a worker draws and writes
BUILT_PER_S = 550_000  # impressions added to the data set
PICTURE_BYTES = {64: 2_100, 224: 11_000}  # by width in pixels; the available widths
PICTURES_PER_S = {64: 200, 224: 20}  # per worker
USER_BYTES, ITEM_BYTES = 400, 900  # in memory
BLOCK_BYTES = 120e6  # in memory per block that is being drawn


@dataclass(frozen=True)
class Plan:
    """Expected sizes and time, accurate to a factor of two on a machine with two cores."""

    disk_bytes: float  # of the finished world
    peak_disk_bytes: float  # during the run
    memory_bytes: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{_size(self.disk_bytes)} on disk ({_size(self.peak_disk_bytes)} during the "
            f"run), {_size(self.memory_bytes)} of memory, {_time(self.seconds)}"
        )


def make_plan(config: WorldConfig, pictures: int, workers: int) -> Plan:
    """Return the plan of a valid world.

    Args:
        config: The world.
        pictures: The width of pictures in pixels; 0 for none.
        workers: The number of threads and processes.
    """
    rows, items = config.impressions, config.items
    widths = WIDTH * (4 + len(NOISE_RATIOS)) + (BINS**3 + 3 * PIXELS**2 if pictures else 0)
    kept = rows * (TRUTH_BYTES + TABLE_BYTES) + items * 4 * widths
    seconds = 1 + rows / (DRAWN_PER_S * workers) + rows / BUILT_PER_S
    if pictures:
        kept += 2 * items * PICTURE_BYTES[pictures]
        seconds += items / (PICTURES_PER_S[pictures] * workers)
    memory = 0.3e9 + config.users * USER_BYTES + items * ITEM_BYTES + workers * BLOCK_BYTES
    return Plan(kept, kept + rows * WORK_BYTES, memory + min(2e9, rows * 100), seconds)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
