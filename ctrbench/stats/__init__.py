"""What a difference between two arms is worth: paired, in percentage points."""

from ctrbench.stats.fieller import Share, share_of_attainable
from ctrbench.stats.influence import Influence, influences, standard_error
from ctrbench.stats.seeds import Delta, paired_delta

__all__ = [
    "Delta",
    "Influence",
    "Share",
    "influences",
    "paired_delta",
    "share_of_attainable",
    "standard_error",
]
