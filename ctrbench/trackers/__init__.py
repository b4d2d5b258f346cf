"""Experiment trackers: one per file, found by listing. Their packages are optional."""

from ctrbench.trackers._base import PACKAGE, TrackedRun, Tracker, load

__all__ = ["PACKAGE", "TrackedRun", "Tracker", "load"]
