"""A screen on the terminal."""

from __future__ import annotations

import math

from ctrbench.metrics import find
from ctrbench.runner.screening import Screening
from ctrbench.terminal.output import echo

FEWEST = 3  # versions; the rank correlation of two is -1 or 1


def show(found: Screening) -> None:
    """Print the versions by rank, the saved cells, and the agreement with other modes."""
    seeds = ", ".join(map(str, found.seeds))
    metric = find(found.headline).title
    echo(f"\nScreened with {found.mode}, seeds {seeds}; {metric} on valid:")
    for version, value in found.valid.items():
        echo(f"- {version}: {value:.4f}{' (kept)' if version in found.kept else ''}")
    share = 1 - found.cells / found.cells_whole
    less = f", {share:.0%} less" if share > 0 else ", none saved"
    echo(
        f"{found.cells} cells instead of {found.cells_whole}{less}. This does not show that the "
        "excluded versions are worse: few seeds on valid are imprecise."
    )
    for one in found.agreements:
        if one.versions < FEWEST:
            continue
        interval = "" if math.isnan(one.low) else f" [{one.low:+.2f}, {one.high:+.2f}]"
        echo(
            f"Rank correlation of the screen with {one.mode} on test, over {one.versions} "
            f"versions: {one.correlation:+.2f}{interval}."
        )
