"""Differences in text form, with their unit, so that 0.05 is never read as 5 %."""

from __future__ import annotations

import re

from ctrbench.errors import ConfigError


def parse_points(text: str, what: str) -> float:
    """Return a number of percentage points as a fraction.

    Args:
        text: Such as `0.05pp`.
        what: The option or key, for the message.

    Raises:
        ConfigError: The text has no unit, is not a number, is negative or above 100.

    >>> parse_points("0.05pp", "margin")
    0.0005
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*pp\s*", str(text))
    if not found:
        raise ConfigError(
            f"{what} {text!r} is not valid: give a number of percentage points with its unit, "
            "such as 0.05pp."
        )
    if float(found[1]) > 100:
        raise ConfigError(f"{what} {text!r} is not valid: the largest difference is 100pp.")
    return float(found[1]) / 100
