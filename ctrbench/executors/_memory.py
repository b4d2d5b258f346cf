"""The memory of a process: measured, and reused or returned by the allocator of glibc."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, NEVER = -1, -3, 2**31 - 1  # of mallopt(3)
LARGE_BLOCK = 1 << 20  # bytes
OWN = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)


def own_bytes(pid: int) -> int | None:
    """Return the resident memory of a process without memory-mapped files, in bytes.

    The system drops pages of mapped files when memory becomes scarce, so their number depends on
    the machine and not on the process. None: the process has ended, or the system is not Linux.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return None
    return 1024 * sum(map(int, OWN.findall(text)))


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory, which saves 15 % of the time of a cell.

    Every batch allocates and frees the same large blocks. Returning them causes page faults.
    """
    _set_allocator(map_from=NEVER, trim_from=NEVER)


def return_freed_memory() -> None:
    """Make glibc return large freed blocks to the system at once.

    If batches differ in size, reused blocks fragment the heap: pre-training on pictures took four
    times the memory, for 6 % less time.
    """
    _set_allocator(map_from=LARGE_BLOCK, trim_from=128 * LARGE_BLOCK)


def _set_allocator(map_from: int, trim_from: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, map_from)
        libc.mallopt(M_TRIM_THRESHOLD, trim_from)
