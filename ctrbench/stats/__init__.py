"""What a difference between two arms is worth: paired, in percentage points."""

from ctrbench.stats.seeds import Delta, paired_delta

__all__ = ["Delta", "paired_delta"]
