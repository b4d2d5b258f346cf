"""Makes the server of processes end with the command that started it; imported there first.

A server that still imports libraries does not notice that its command was killed, and would keep
the output of the command open for seconds.
"""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # of prctl(2): the signal that this process receives when its parent ends

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
