"""Text for every output: without control characters, and counts with their noun."""

from __future__ import annotations

KEPT = "\n\t"
C0 = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in KEPT}  # ESC -> ␛
DELETE = {0x7F: "\N{SYMBOL FOR DELETE}"}
C1 = range(0x80, 0xA0)
BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SURROGATES = range(0xD800, 0xE000)  # alone they are no text, and no terminal accepts them
HIDDEN = (*C1, *BIDI, *SURROGATES)  # they have no visible symbol
VISIBLE = C0 | DELETE | dict.fromkeys(HIDDEN, "\N{REPLACEMENT CHARACTER}")
ESCAPED = {code: f"\\u{code:04x}" for code in (0x7F, *HIDDEN)}


def counted(count: int, one: str, several: str = "") -> str:
    """Return a count with its noun, and with the verb if that depends on the count.

    Args:
        count: 0 or more.
        one: The words after 1.
        several: The words after every other count; empty: `one` with an "s".

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "row differs", "rows differ")
    ('1 row', '1,200 rows', '2 rows differ')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def printable(text: str) -> str:
    r"""Return the text with visible symbols in place of control characters.

    Newlines and tabs stay. Names and titles come from strangers: otherwise an escape code in a
    title could clear the terminal, and a bidirectional control could reorder the text around it.

    >>> printable("film \x1b[2J \u202egnp.exe")
    'film ␛[2J �gnp.exe'
    """
    return text.translate(VISIBLE)


def escaped_json(text: str) -> str:
    r"""Return JSON text of the same value, with control characters as `\uXXXX`.

    >>> print(escaped_json('"\u202egnp.exe"'))
    "\u202egnp.exe"
    """
    return text.translate(ESCAPED)
