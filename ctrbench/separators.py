"""Detect the column separator of a text file."""

from __future__ import annotations

KNOWN = (",", ";", "\t", "|")


def separators(header: str, usual: str) -> list[str]:
    """Return the possible separators of a header; more than one if it is ambiguous.

    Args:
        header: The first line of the file.
        usual: The usual separator of the file's extension, which takes precedence.

    >>> separators("item_id;d0;d1", ","), separators("item_id", ","), separators("a;b|c", ",")
    ([';'], [','], [';', '|'])
    """
    if usual in header:
        return [usual]
    return [other for other in KNOWN if other in header] or [usual]
