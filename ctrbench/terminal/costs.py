"""Gains and costs on the terminal."""

from __future__ import annotations

from rich.table import Table

from ctrbench.runner.costs import Costs
from ctrbench.terminal.output import console

WIDTH = 120  # minimum width of the table in characters; a narrower terminal wraps it


def show(found: Costs) -> None:
    """Print a row per arm."""
    table = Table()
    table.add_column("arm", overflow="fold")
    metric = f"{found.metric}, pp"
    names = (metric, "parameters", "training, s", "1: ms", "p99", "1,024: ms")
    for name in (*names, "p99", "stored B", "read B"):
        table.add_column(name, justify="right", overflow="fold")
    baseline = found.arms[0]
    for arm in found.arms:
        cost, latency = arm.cost, arm.cost.latency
        added = cost.parameters - baseline.cost.parameters
        table.add_row(
            arm.name,
            "–" if arm.gain is None else f"{100 * arm.gain.estimate:+.2f}",
            f"{cost.parameters:,}" if arm is baseline else f"{added:+,}",
            "–" if arm.train_s is None else f"{arm.train_s:.1f}",
            *(
                f"{1000 * value:.2f}"
                for size in (1, 1024)
                for value in (latency[size].median_s, latency[size].p99_s)
            ),
            f"{cost.item_bytes:,}",
            f"{cost.request_bytes:,}",
        )
    out = console()
    out.width = max(out.width, WIDTH)
    out.print(table)
    out.print(
        "Latency of a request of 1 and of 1,024 impressions: median and 99th percentile, packing "
        "and model, one thread. B: bytes of image data, stored per item, and read per impression "
        f"with a full history. {_energy(found)}",
        soft_wrap=True,
        highlight=False,
    )


def _energy(found: Costs) -> str:
    """Return the energy of each arm, as text."""
    known = [f"{arm.name} {arm.energy_j:.0f} J" for arm in found.arms if arm.energy_j is not None]
    return f"Energy per cell: {', '.join(known) if known else 'not available'}."
