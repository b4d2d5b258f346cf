"""From raw rows to a data set's folder: numbered, divided into periods, written as Parquet."""

from ctrbench.importing.building import IMPORT_OPTIONS, build
from ctrbench.importing.numbered_log import check_log
from ctrbench.importing.raw import Preview, Progress, Raw, Reading, SourceFile, preview
from ctrbench.importing.relations import Relation, database, make_table, make_view
from ctrbench.importing.snapshots import Snapshot, parse_snapshot
from ctrbench.importing.splits import parse_split
from ctrbench.schema import GivenVersion, Source

__all__ = [
    "IMPORT_OPTIONS",
    "GivenVersion",
    "Preview",
    "Progress",
    "Raw",
    "Reading",
    "Relation",
    "Snapshot",
    "Source",
    "SourceFile",
    "build",
    "check_log",
    "database",
    "make_table",
    "make_view",
    "parse_snapshot",
    "parse_split",
    "preview",
]
