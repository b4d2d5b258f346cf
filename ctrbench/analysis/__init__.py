"""WHAT stored records show: paired deltas, intervals, verdicts and warnings as typed objects.

Everything between stored records and a finished comparison. Formats write it down and compute
nothing.
"""

from ctrbench.analysis.caption import joined
from ctrbench.analysis.comparison import Comparison, Measure, TablePlan
from ctrbench.analysis.judging import CEILING
from ctrbench.analysis.measured import measured
from ctrbench.analysis.table import ComparisonTable, compare

__all__ = [
    "CEILING",
    "Comparison",
    "ComparisonTable",
    "Measure",
    "TablePlan",
    "compare",
    "joined",
    "measured",
]
