"""Suggest similar item ids for ids that a data set does not contain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches

LEAST_SIMILAR = 0.5  # smallest difflib ratio of a suggestion
LONGEST = 64  # characters of an id that are compared
SAMPLE = 1000  # ids that are compared by difflib


def pairs(ids: Sequence[str], known: Sequence[str]) -> str:
    """Return ids for a message, each with the most similar known id.

    Args:
        ids: Unknown ids.
        known: The ids of the data set.

    >>> pairs(["1001.0", "?"], ["1001", "1002"])
    "'1001.0' (nearest item: '1001'), '?'"
    """
    all_known, found = set(known), []
    for raw in ids:
        scored = [(_similarity(raw, one), one) for one in _candidates(raw, known, all_known) if one]
        best, near = max(scored, default=(0, ""))
        found.append(f"{raw!r} (nearest item: {near!r})" if best >= LEAST_SIMILAR else repr(raw))
    return ", ".join(found)


def _candidates(raw: str, known: Sequence[str], all_known: set[str]) -> Iterator[str]:
    """Yield known ids that are part of this id, contain it, or differ in a few characters."""
    brief = raw[:LONGEST]
    starts = range(len(brief))
    pieces = (brief[start:stop] for start in starts for stop in range(start + 1, len(brief) + 1))
    yield from (piece for piece in pieces if piece in all_known)
    number = max(re.findall(r"\d+", brief), key=len, default="").lstrip("0")
    for sought in filter(None, {brief.casefold(), number}):
        yield min((one for one in known if sought in one.casefold()), key=len, default="")
    sample = known[:: max(1, len(known) // SAMPLE)]
    yield from get_close_matches(brief, sample, n=1, cutoff=LEAST_SIMILAR)


def _similarity(one: str, other: str) -> float:
    """Return the difflib ratio, plus 1 if one id is a whole part of the other (12 in 12.jpg)."""
    one, other = one[:LONGEST].casefold(), other[:LONGEST].casefold()
    part, whole = sorted((one, other), key=len)
    is_part = re.search(rf"(?<![^\W_]){re.escape(part)}(?![^\W_])", whole) is not None
    return is_part + SequenceMatcher(None, one, other).ratio()
