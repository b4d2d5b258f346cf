"""Text without control characters, for every output: names and titles come from strangers."""

from __future__ import annotations

KEPT = "\n\t"
C0 = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in KEPT}  # ESC -> ␛
DELETE = {0x7F: "\N{SYMBOL FOR DELETE}"}
C1 = range(0x80, 0xA0)
BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
HIDDEN = (*C1, *BIDI)  # they have no visible symbol
VISIBLE = C0 | DELETE | dict.fromkeys(HIDDEN, "\N{REPLACEMENT CHARACTER}")
ESCAPED = {code: f"\\u{code:04x}" for code in (0x7F, *HIDDEN)}


def printable(text: str) -> str:
    r"""Return the text with visible symbols in place of control characters.

    Newlines and tabs stay. Otherwise an escape code in a title could clear the terminal, and a
    bidirectional control could reorder the text around it.

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
