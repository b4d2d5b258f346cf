"""WHERE cells run: local processes."""

from ctrbench.executors.processes import (
    Event,
    keep_freed_memory,
    return_freed_memory,
    run_here,
    run_tasks,
)

__all__ = ["Event", "keep_freed_memory", "return_freed_memory", "run_here", "run_tasks"]
