"""From raw rows to a data set's folder: numbered, divided into periods, written as Parquet."""

from ctrbench.importing.building import build
from ctrbench.importing.raw import Progress, Raw
from ctrbench.importing.relations import Relation, database, make_table, make_view
from ctrbench.importing.snapshots import Snapshot, parse_snapshot
from ctrbench.importing.splits import parse_split
from ctrbench.schema import GivenVersion, Source

__all__ = [
    "GivenVersion",
    "Progress",
    "Raw",
    "Relation",
    "Snapshot",
    "Source",
    "build",
    "database",
    "make_table",
    "make_view",
    "parse_snapshot",
    "parse_split",
]
