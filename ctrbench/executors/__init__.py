"""Where cells run."""

from ctrbench.executors.processes import Event, run_tasks

__all__ = ["Event", "run_tasks"]
