"""Run an importer on tiny files."""

from __future__ import annotations

from ctrbench.importing import build, database, parse_split


def run(workspace, importer, split=None, name="log"):
    """Import and build a data set; return its manifest."""
    with database(workspace) as connection:
        raw = importer.read(connection, split and parse_split(split), lambda _: None)
        return build(workspace, name, raw)


def lines(path, text):
    """Write a text whose lines may be indented, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line.strip()}\n" for line in text.strip().splitlines()))
    return path
