"""WHERE cells run: one executor per file."""

from ctrbench.executors._base import (
    NO_LIMITS,
    Admission,
    Event,
    Executor,
    Limits,
    Program,
    Progress,
    Task,
)
from ctrbench.executors._in_process import InProcess
from ctrbench.executors._local import SLOT
from ctrbench.executors._memory import keep_freed_memory, return_freed_memory
from ctrbench.executors.processes import Processes

__all__ = [
    "NO_LIMITS",
    "SLOT",
    "Admission",
    "Event",
    "Executor",
    "InProcess",
    "Limits",
    "Processes",
    "Program",
    "Progress",
    "Task",
    "keep_freed_memory",
    "return_freed_memory",
]
