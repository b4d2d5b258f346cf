"""How a data set is told to a person."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctrbench.impressions import Summary
from ctrbench.impressions.states import ticks_per_second
from ctrbench.schema import DatasetManifest

WIDE = 160  # columns where the output is no terminal and nothing should be cut


def console() -> Console:
    """Where results go."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str]) -> Table:
    """A table without lines; the columns named in `numbers` stand to the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=any(headings))
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numbers else "left")
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def overview(manifest: DatasetManifest, summary: Summary) -> Table:
    """The facts of a data set, one a line."""
    counts = manifest.counts
    by = f" by column {manifest.snapshot_column}" if manifest.snapshot_column else ""
    group = f"user x {manifest.snapshot}" if manifest.snapshot in ("session", "day") else "user"
    where = {
        "derived": f"the user's own clicks before the start of the {manifest.snapshot}",
        "given": f"given by the data set, {counts['history_items']:,} items in distinct lists",
    }
    images = "none"
    if manifest.has_images:
        lost = counts["images_unmatched"]
        images = f"{counts['images']:,}, {counts['image_bytes'] / 2**20:.1f} MiB"
        images += f"; {lost:,} more match no item" if lost else ""
    facts = [
        ("impressions", f"{counts['impressions']:,}, of them {counts['clicks']:,} clicks"),
        ("CTR", f"{100 * summary.ctr:.2f} %" + ", weighted" * manifest.has_weight),
        ("users", f"{counts['users']:,}"),
        ("items", f"{counts['items']:,}"),
        ("label", manifest.label),
        ("split", str(manifest.split)),
        ("history", where[manifest.history]),
        ("snapshot", f"{manifest.snapshot}{by}; GAUC compares impressions of one {group}"),
        ("images", images),
        ("weights", "yes" if manifest.has_weight else "no"),
        ("imported", f"{manifest.created} by {manifest.importer}"),
        ("content", manifest.content_hash),
        *(("note", note) for note in manifest.notes),
        *(("warning", finding) for finding in manifest.findings),
    ]
    return table(("", ""), facts, ())


def periods(summary: Summary) -> Table:
    """A row per period."""
    numbers = "impressions", "CTR", "users", "evaluable", "items"
    rows = [
        (
            period.name,
            _moment(period.first),
            _moment(period.last),
            f"{period.impressions:,}",
            f"{100 * period.ctr:.2f} %",
            f"{period.users:,}",
            f"{period.evaluable_users:,}",
            f"{period.items:,}",
        )
        for period in summary.periods
    ]
    return table(("period", "from", "to", *numbers), rows, numbers)


def histories(summary: Summary) -> str:
    """The lengths of histories in one line."""
    names = {0.1: "10 % up to", 0.5: "half up to", 0.9: "90 % up to", 1.0: "longest"}
    told = ", ".join(f"{names[q]} {length:,}" for q, length in summary.history_quantiles.items())
    return f"history length: {told}; {100 * summary.empty_history_share:.1f} % are empty"


def fields(manifest: DatasetManifest, summary: Summary) -> Table:
    """A row per field; not in train: values that valid and test alone show."""
    rows = [
        (
            field.name,
            field.of,
            field.kind,
            f"{field.size:,}" if field.size else "–",
            f"{100 * summary.filled[field.name]:.1f} %" if field.name in summary.filled else "–",
            f"{summary.unseen[field.name]:,}" if field.name in summary.unseen else "–",
        )
        for field in manifest.fields
    ]
    numbers = "values", "filled", "not in train"
    return table(("field", "of", "kind", *numbers), rows, numbers)


def _moment(timestamp: int | None) -> str:
    """A day if the number can be one, else the number; seconds, milliseconds or microseconds."""
    if timestamp is None:
        return "–"
    scale = ticks_per_second(timestamp)
    if scale is None:
        return f"{timestamp}"
    return f"{datetime.fromtimestamp(timestamp / scale, UTC):%Y-%m-%d}"
