"""Data sets on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from ctrbench.embeddings.outcomes import ImportedLog
from ctrbench.exporting import Exported
from ctrbench.importing import Preview, SourceFile
from ctrbench.impressions import Described, Summary
from ctrbench.impressions.states import ticks_per_second
from ctrbench.printable import counted
from ctrbench.schema import DatasetManifest
from ctrbench.terminal import versions
from ctrbench.terminal._tables import console, table
from ctrbench.terminal.output import echo

MOST_FILES = 5  # of a log that a dry run lists


def show_list(manifests: Sequence[DatasetManifest]) -> None:
    """Print a row per data set."""
    numbers = "impressions", "users", "items", "images"
    rows = [
        (m.name, *(f"{m.counts.get(n, 0):,}" for n in numbers), m.label, str(m.split))
        for m in manifests
    ]
    console().print(table(("data set", *numbers, "label", "split"), rows, numbers))


def show(found: Described) -> None:
    """Print the facts of a data set, its periods, histories and fields."""
    manifest, summary = found.manifest, found.summary
    out = console()
    out.print(manifest.name, _overview(manifest, summary), "", _periods(summary), "", sep="\n")
    out.print(_histories(summary))
    if manifest.fields:
        out.print("", _fields(manifest, summary), sep="\n")


def show_log(found: ImportedLog) -> None:
    """Print the summary of an imported data set, and the versions that came with it."""
    show_imported(found.described, not found.new)
    for version in found.versions:
        versions.show_version(version)


def show_imported(found: Described, was_there: bool) -> None:
    """Print the summary of an imported data set.

    Args:
        found: The description of the data set.
        was_there: Whether the data set already existed with the same content.
    """
    manifest, summary = found.manifest, found.summary
    done = "already exists with the same content:" if was_there else "imported as"
    console().print(
        f"{done} {manifest.name}",
        _overview(manifest, summary),
        "",
        _periods(summary),
        sep="\n",
    )


def show_exported(found: Exported) -> None:
    """Print what was written, and where its README is."""
    counts = ", ".join(f"{period} {count:,}" for period, count in found.impressions.items())
    echo(f"wrote {found.folder}: {counts} impressions of {found.dataset} ({found.format})")
    echo(f"{found.folder / 'README.md'} describes the columns and how to import predictions.")


def show_next(name: str) -> None:
    """Print the command to type after the import of a data set."""
    console().print(f"\nnext: ctrbench datasets check {name}")


def show_files(files: Sequence[SourceFile]) -> None:
    """Print the files of a log, and their columns with types."""
    out = console()
    rows = [(one.path, one.form, f"{one.rows:,}") for one in files[:MOST_FILES]]
    out.print(table(("file", "format", "rows"), rows, ("rows",)))
    if len(files) > MOST_FILES:
        out.print(f"and {counted(len(files) - MOST_FILES, 'more file')}")
    shown = dict.fromkeys(tuple(one.types.items()) for one in files)
    for types in shown:
        out.print("", table(("column", "type in the file"), types, ()), sep="\n")


def show_preview(found: Preview) -> None:
    """Print how a log is read: files, columns, guesses, and the first rows as understood."""
    out = console()
    show_files(found.files)
    rows = [(one.column, one.read_as, "guessed" * one.guessed) for one in found.readings]
    if not rows:
        rows = [(one.name, f"{one.kind} field of the {one.of}", "") for one in found.fields]
    out.print("", table(("column", "read as", ""), rows, ()), sep="\n")
    out.print(f"\nlabel: {found.label}", f"split: {found.split}", sep="\n")
    for note in found.notes:
        out.print(f"note: {note}")
    names = list(found.columns)
    values = [tuple("" if v is None else str(v) for v in row) for row in found.rows]
    if "timestamp" in names:
        place = names.index("timestamp")
        names.append("time (UTC)")
        values = [(*row, _date_and_time(int(row[place]))) for row in values]
    out.print("\nfirst rows as read:", table(names, values, ()), sep="\n")
    out.print("\nDry run: nothing was imported.")


def _date_and_time(timestamp: int) -> str:
    """Return a timestamp as a date and time; empty if its unit is unknown."""
    ticks = ticks_per_second(timestamp)
    if ticks is None:
        return ""
    return datetime.fromtimestamp(timestamp / ticks, UTC).isoformat(sep=" ", timespec="seconds")


def _overview(manifest: DatasetManifest, summary: Summary) -> Table:
    """Return the facts of a data set, one per line."""
    counts = manifest.counts
    by = f" by column {manifest.snapshot_column}" if manifest.snapshot_column else ""
    group = f"user x {manifest.snapshot}" if manifest.snapshot in ("session", "day") else "user"
    where = {
        "derived": f"the user's own clicks before the start of the {manifest.snapshot}",
        "given": "given by the data set, "
        + f"{counted(counts['history_items'], 'item')} in distinct lists",
    }
    images = "none"
    if manifest.has_images:
        lost = counts["images_unmatched"]
        images = f"{counts['images']:,}, {counts['image_bytes'] / 2**20:.1f} MiB"
        images += f"; {counted(lost, 'more matches', 'more match')} no item" if lost else ""
    facts = [
        ("impressions", f"{counts['impressions']:,} with {counted(counts['clicks'], 'click')}"),
        ("CTR", f"{100 * summary.ctr:.2f} %" + ", weighted" * manifest.has_weight),
        ("users", f"{counts['users']:,}"),
        ("items", f"{counts['items']:,}"),
        ("label", manifest.label),
        *[("further labels", ", ".join(manifest.labels))] * bool(manifest.labels),
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


def _periods(summary: Summary) -> Table:
    """Return a row per period."""
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


def _histories(summary: Summary) -> str:
    """Return the lengths of histories in one line."""
    names = {0.1: "10 % at most", 0.5: "half at most", 0.9: "90 % at most", 1.0: "longest"}
    lengths = ", ".join(f"{names[q]} {length:,}" for q, length in summary.history_quantiles.items())
    return f"history length: {lengths}; {100 * summary.empty_history_share:.1f} % are empty"


def _fields(manifest: DatasetManifest, summary: Summary) -> Table:
    """Return a row per field; `not in train` counts values that occur only in valid and test."""
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
    """Return a day if the number is a time in seconds, milliseconds or microseconds."""
    if timestamp is None:
        return "–"
    scale = ticks_per_second(timestamp)
    if scale is None:
        return f"{timestamp}"
    return f"{datetime.fromtimestamp(timestamp / scale, UTC):%Y-%m-%d}"
