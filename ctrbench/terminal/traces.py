"""The trace of a cell on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from ctrbench.analysis.traces import Explained
from ctrbench.terminal.output import console

SHOWN = (0.1, 0.5, 1.0)  # shares of the epoch


def show(found: Explained) -> None:
    """Print gradients and updates of every block, then a summary."""
    out, trace = console(), found.trace
    table = Table(title=f"{found.label}: gradients and updates by block")
    table.add_column("block", no_wrap=True)
    points = [trace.points[max(0, round(share * len(trace.points)) - 1)] for share in SHOWN]
    for point in points:
        table.add_column(f"gradient at {point.impressions:,}", justify="right")
    for point in points:
        table.add_column(f"moved to {point.impressions:,}", justify="right")
    for part in trace.points[0].blocks:
        own = [point.blocks[part] for point in points]
        table.add_row(
            part,
            *(f"{block.gradient:.2e}" for block in own),
            *(f"{block.update / block.weight:.2%}" if block.weight else "–" for block in own),
        )
    out.print(table)
    for line in _lines(found):
        out.print(line, soft_wrap=True, highlight=False, markup=False)


def _lines(found: Explained) -> Iterator[str]:
    trace = found.trace
    first, last = trace.points[0], trace.points[-1]
    yield f"Loss {first.loss:.4f} at {first.impressions:,} impressions, {last.loss:.4f} at the end."
    if "image" in last.blocks:
        if found.image_gradient is not None:
            yield (
                f"The gradient of the image block is {found.image_gradient[0]:.2f} times that of "
                f"the ids at the first point, and {found.image_gradient[1]:.2f} times at the last "
                "point."
            )
        listed = ", ".join(f"{part} {share:.0%}" for part, share in found.half_way.items())
        yield f"Share of the epoch after which half of the total distance is moved: {listed}."
    for name, value in last.reported.items():
        yield f"{name}: {first.reported[name]:.3f} at the first point, {value:.3f} at the last."
    names = {"image": "images", "item_id": "item ids"}
    for which, lost in trace.permuted.items():
        listed = ", ".join(
            f"{100 * value:+.2f} pp of {name.upper()}" for name, value in lost.items()
        )
        yield f"Decrease if the {names[which]} of the test items are permuted: {listed}."
