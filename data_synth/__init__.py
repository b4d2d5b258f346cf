"""Synthetic worlds with known truth: a log, pictures, and image vectors of known quality."""

from data_synth.attainable import Attainable
from data_synth.world import WorldConfig
from data_synth.writing import Written, plan_world, write_world

__all__ = ["Attainable", "WorldConfig", "Written", "plan_world", "write_world"]
