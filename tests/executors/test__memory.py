import os
import subprocess
import sys

import numpy as np

from ctrbench.executors._memory import own_bytes

SIZE = 100_000_000


def test_own_memory_counts_arrays_but_no_mapped_files(tmp_path):
    np.save(tmp_path / "ones.npy", np.ones(SIZE, np.uint8))
    before = own_bytes(os.getpid())
    mapped = np.load(tmp_path / "ones.npy", mmap_mode="r")
    assert mapped.sum() == SIZE  # every page is resident
    assert own_bytes(os.getpid()) - before < 0.3 * SIZE
    copied = np.array(mapped)
    assert SIZE <= own_bytes(os.getpid()) - before < 1.3 * SIZE
    assert copied.sum() == SIZE


def test_own_memory_of_an_ended_process_is_unknown():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert own_bytes(ended.pid) is None
