"""The log of a data set: opened as memory maps, checked, summarised."""

from ctrbench.impressions.checking import check
from ctrbench.impressions.opening import (
    item_texts,
    items_with_image,
    names,
    open_impressions,
    raw_item_ids,
    raw_user_ids,
    read_manifest,
    remove,
    require_intact,
    vocabulary,
)
from ctrbench.impressions.periods import items_in_period
from ctrbench.impressions.summary import Described, PeriodSummary, Summary, describe, summarise

__all__ = [
    "Described",
    "PeriodSummary",
    "Summary",
    "check",
    "describe",
    "item_texts",
    "items_in_period",
    "items_with_image",
    "names",
    "open_impressions",
    "raw_item_ids",
    "raw_user_ids",
    "read_manifest",
    "remove",
    "require_intact",
    "summarise",
    "vocabulary",
]
