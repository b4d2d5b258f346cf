import subprocess
import sys

from ctrbench.executors._memory import own_bytes

# of a process of its own, without freed memory that it could use again
MEASURE = """
import os
import numpy as np
from ctrbench.executors._memory import own_bytes
size = 100_000_000
np.save("ones.npy", np.ones(size, np.uint8))
before = own_bytes(os.getpid())
mapped = np.load("ones.npy", mmap_mode="r")
assert mapped.sum() == size  # every page is resident
assert own_bytes(os.getpid()) - before < 0.3 * size
copied = np.array(mapped)
assert size <= own_bytes(os.getpid()) - before < 1.3 * size
assert copied.sum() == size
"""


def test_own_memory_counts_arrays_but_no_mapped_files(tmp_path):
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_own_memory_of_an_ended_process_is_unknown():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert own_bytes(ended.pid) is None
