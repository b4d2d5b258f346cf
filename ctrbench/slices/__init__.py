"""Named subsets of a period's impressions.

A slice of one's own is a rule: one public subclass of `SliceRule` per file of this folder, an entry
point in the group `ctrbench.slices`, or a class that a notebook registers.
"""

from ctrbench.slices._base import SliceRule
from ctrbench.slices._slice import Slice, mask, problems

__all__ = ["Slice", "SliceRule", "mask", "problems"]
