"""From raw rows to a data set's folder: numbered, divided into periods, written as Parquet."""

from ctrbench.importing.building import build
from ctrbench.importing.database import database
from ctrbench.importing.preparing import Progress, Raw
from ctrbench.importing.snapshots import Snapshot, parse_snapshot
from ctrbench.importing.splits import parse_split

__all__ = [
    "Progress",
    "Raw",
    "Snapshot",
    "build",
    "database",
    "parse_snapshot",
    "parse_split",
]
