"""The data-set folder: build it from raw rows, open it as memory maps, describe and check it."""

from ctrbench.impressions.building import build
from ctrbench.impressions.checking import check
from ctrbench.impressions.database import database
from ctrbench.impressions.opening import (
    item_texts,
    items_with_image,
    names,
    open_impressions,
    raw_item_ids,
    read_manifest,
    remove,
    vocabulary,
)
from ctrbench.impressions.periods import items_in_period
from ctrbench.impressions.preparing import Progress, Raw
from ctrbench.impressions.snapshots import Snapshot, parse_snapshot
from ctrbench.impressions.splits import parse_split
from ctrbench.impressions.summary import PeriodSummary, Summary, summarise

__all__ = [
    "PeriodSummary",
    "Progress",
    "Raw",
    "Snapshot",
    "Summary",
    "build",
    "check",
    "database",
    "item_texts",
    "items_in_period",
    "items_with_image",
    "names",
    "open_impressions",
    "parse_snapshot",
    "parse_split",
    "raw_item_ids",
    "read_manifest",
    "remove",
    "summarise",
    "vocabulary",
]
