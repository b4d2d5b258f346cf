"""The places of a table: blocks of lines, and one entry per line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ctrbench.plan import Row
from ctrbench.stats import Delta, Inference, Share

BASELINE_TITLE = "Baseline"  # display name


@dataclass(frozen=True)
class Entry:
    """One place of the table."""

    status: Literal["done", "failed", "missing", "impossible"]
    delta: Delta | None  # None unless done
    marks: tuple[str, ...] = ()  # marks of its footnotes
    hashes: tuple[str, ...] = ()  # hashes of its cells in the order of seeds, stored or not
    share: Share | None = None  # of the attainable gain, in a block of shares
    inference: Inference | None = None  # None if influence values are not stored

    @property
    def separable(self) -> bool:
        """Whether the interval accounts for seed variance and excludes zero."""
        found = self.inference
        if found is None or not found.variance.seed_degrees:
            return False
        return not found.low <= 0 <= found.high


@dataclass(frozen=True)
class Line:
    """A row of a block; one entry per column."""

    row: Row | None  # None: the baseline itself
    reference: Row | None  # a shuffled sibling; None: the baseline
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Return the display name of the row."""
        return self.row.label if self.row else BASELINE_TITLE

    @property
    def against(self) -> str:
        """Return the display name of the reference."""
        return self.reference.label if self.reference else BASELINE_TITLE

    @property
    def control(self) -> bool:
        """Whether the row is a control, which is listed below the versions."""
        return self.row is not None and self.row.control is not None

    @property
    def imported(self) -> bool:
        """Whether the row holds imported predictions, which are listed below the baseline."""
        return self.row is not None and self.row.imported

    @property
    def candidate(self) -> bool:
        """Whether the row is a version: no baseline, control or imported predictions."""
        return self.row is not None and not self.control and not self.imported

    @property
    def title(self) -> str:
        """Return the text of the first column, which names the sibling if there is one."""
        return f"{self.label} vs {self.against}" if self.reference else self.label


@dataclass(frozen=True)
class Block:
    """One measure against one kind of reference, for all rows."""

    title: str
    detail: str  # value of the baseline and number of impressions; may be empty
    metric: str
    slice: str  # key; empty: the whole test period
    comparison: Literal["baseline", "shuffled", "attainable"]
    lines: tuple[Line, ...]

    @property
    def marks(self) -> set[str]:
        """Return the marks of the footnotes of the block."""
        return {mark for line in self.lines for entry in line.entries for mark in entry.marks}


def headline(blocks: Sequence[Block], comparison: Literal["baseline", "shuffled"]) -> Block | None:
    """Return the block of the headline metric on the whole test period.

    Args:
        blocks: The blocks of a table; the first is of the headline metric.
        comparison: The kind of reference.
    """
    metric = blocks[0].metric
    found = (
        block
        for block in blocks
        if (block.metric, block.slice, block.comparison) == (metric, "", comparison)
    )
    return next(found, None)
