"""Which sign separates the columns of a text file."""

from __future__ import annotations

KNOWN = (",", ";", "\t", "|")


def separators(header: str, usual: str) -> list[str]:
    """The signs that may separate the columns of a header; several: nobody can tell.

    Args:
        header: The first line.
        usual: Of files with that ending; it goes before all others.

    >>> separators("item_id;d0;d1", ","), separators("item_id", ","), separators("a;b|c", ",")
    ([';'], [','], [';', '|'])
    """
    if usual in header:
        return [usual]
    return [other for other in KNOWN if other in header] or [usual]
