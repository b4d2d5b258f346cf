"""Versions over time on the terminal."""

from __future__ import annotations

from ctrbench.analysis.history import VersionHistory
from ctrbench.analysis.shown import Place
from ctrbench.stats import Inference
from ctrbench.terminal._tables import console, table
from ctrbench.terminal.output import echo


def show(found: VersionHistory) -> None:
    """Print the sentence on the newest version, a table per mode, and notes."""
    echo(found.line)
    metric = found.content.metric
    headings = ("added", "version", f"{metric} over baseline, pp", "over shuffled, pp", "verdict")
    for column in found.content.table.columns:
        places = [
            place
            for place in found.content.places
            if place.column == column and place.row.control is None
        ]
        echo(f"\n{column.label} {column.trained}".rstrip())
        rows = [_row(found, place) for place in places]
        console().print(table(headings, rows, headings[2:4]))
    echo()
    for line in (*found.notes, *found.settings, *found.differing):
        echo(line)
    for line in found.content.table.warnings:
        echo(f"Warning: {line}")
    for line in found.content.missing:
        echo(line, err=True)


def _row(found: VersionHistory, place: Place) -> tuple[str, ...]:
    added = found.content.added
    at = added.get(place.row.version)
    distinct_days = len({day.date() for day in added.values()}) == len(added)
    date = f"{at:{'%Y-%m-%d' if distinct_days else '%Y-%m-%d %H:%M'}}" if at else "–"
    gain = _interval(place.gain) if place.gain else place.status
    images = ", ".join(map(_interval, place.images)) or "–"
    return date, place.row.label, gain, images, found.verdict(place)


def _interval(one: Inference) -> str:
    return f"{100 * one.estimate:+.2f} [{100 * one.low:+.2f}, {100 * one.high:+.2f}]"
