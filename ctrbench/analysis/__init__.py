"""Analysis of stored records: paired deltas, intervals, verdicts and warnings as typed objects.

This package holds everything between stored records and a finished comparison. Report formats
render its objects and compute nothing.
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
