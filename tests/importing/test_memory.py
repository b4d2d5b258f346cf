"""The peak memory of an import depends on users and items, not on rows."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MEGABYTE = 1 << 20
QUERIES = 96 * MEGABYTE
BUFFERS = 48 * MEGABYTE  # of blocks that a small log does not fill
# Blocks and the memory of queries are small, so that a small log shows the bound. VmHWM is the peak
# of the process itself; ru_maxrss would include the memory of the process that started it.
IMPORT = f"""
import sys
from pathlib import Path
from ctrbench.cli import main
from ctrbench.importing import relations
from ctrbench.impressions import history_guards, periods, row_guards, target_guards
relations.QUERY_BYTES = {QUERIES}
relations.PART = 1 << 16
for module in (periods, row_guards, target_guards):
    module.CHUNK = 1 << 16
history_guards.BLOCK = 1 << 16
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print("peak", next(line for line in status.splitlines() if "VmHWM" in line).split()[1])
"""


def write_log(path, rows, length):
    """Write a log of 2,000 users and 1,000 items, with distinct given histories if any."""
    rng = np.random.default_rng(rows)
    columns = {
        "user_id": rng.integers(1, 2001, rows),
        "item_id": rng.integers(1, 1001, rows),
        "click": (rng.random(rows) < 0.2).astype(np.int8),
        "timestamp": 1_600_000_000 + np.arange(rows),
    }
    if length:
        ends = np.arange(0, rows * length + 1, length, dtype=np.int32)
        items = rng.integers(1, 1001, rows * length)
        columns["history"] = pa.ListArray.from_arrays(ends, items)
    pq.write_table(pa.table(columns), path, row_group_size=50_000)


def peak_bytes(tmp_path, rows, length):
    """Return the peak resident memory of a process that imports a log."""
    write_log(tmp_path / f"{rows}.parquet", rows, length)
    command = ("--home", tmp_path / "home", "datasets", "import", "table", "--name", f"of_{rows}")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *command, "--impressions", tmp_path / f"{rows}.parquet"],
        capture_output=True,
        text=True,
        check=True,
    )
    return 1024 * int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "length"), [(2_000_000, 0), (600_000, 10)])
def test_twenty_times_as_many_rows_require_no_more_memory(tmp_path, rows, length):
    small, large = (peak_bytes(tmp_path, count, length) for count in (rows // 20, rows))
    assert large < small + QUERIES + BUFFERS
