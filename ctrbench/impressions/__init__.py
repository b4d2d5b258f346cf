"""The log of a data set: opened as memory maps, checked, summarised."""

from ctrbench.impressions.checking import check
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
from ctrbench.impressions.summary import PeriodSummary, Summary, summarise

__all__ = [
    "PeriodSummary",
    "Summary",
    "check",
    "item_texts",
    "items_in_period",
    "items_with_image",
    "names",
    "open_impressions",
    "raw_item_ids",
    "read_manifest",
    "remove",
    "summarise",
    "vocabulary",
]
