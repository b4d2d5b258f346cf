"""Differences as people write them: with their unit, so that 0.05 never means 5 %."""

from __future__ import annotations

import re

from ctrbench.errors import ConfigError


def parse_points(text: str, what: str) -> float:
    """A number of percentage points as a fraction.

    Args:
        text: such as `0.05pp`.
        what: the option or key, for the message.

    Raises:
        ConfigError: no unit, no number, a negative one, or above 100.

    >>> parse_points("0.05pp", "margin")
    0.0005
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*pp\s*", str(text))
    if not found:
        raise ConfigError(
            f"{what} {text!r} will not do: give a number of percentage points with its unit, "
            "such as 0.05pp."
        )
    if float(found[1]) > 100:
        raise ConfigError(f"{what} {text!r} will not do: no two metrics differ by more than 100pp.")
    return float(found[1]) / 100
