"""Synthetic worlds whose truth is known: a log, and image vectors of known quality."""

from data_synth.world import WorldConfig
from data_synth.writing import Written, write_world

__all__ = ["WorldConfig", "Written", "write_world"]
