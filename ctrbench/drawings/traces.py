"""How a cell learned, as curves along the epoch."""

from __future__ import annotations

from pathlib import Path

from ctrbench.analysis.traces import Explained
from ctrbench.drawings._base import new_figure, save


def draw(found: Explained, output: Path) -> None:
    """Draw loss, gradients and updates.

    Args:
        found: a cell.
        output: a .png, .svg or .pdf.

    Raises:
        StoreError: the file cannot be written.
    """
    trace = found.trace
    figure = new_figure(9, 6)
    axes = figure.subplots(2, 2, sharex=True)
    seen = [point.impressions for point in trace.points]
    axes[0, 0].plot(seen, [point.loss for point in trace.points], color="black")
    axes[0, 0].set_title("loss since the last point")
    for part in trace.points[0].blocks:
        own = [point.blocks[part] for point in trace.points]
        axes[0, 1].semilogy(seen, [block.gradient for block in own], label=part)
        moved = [block.update / block.weight if block.weight else 0 for block in own]
        axes[1, 0].plot(seen, moved, label=part)
    axes[0, 1].set_title("norm of the gradient")
    axes[1, 0].set_title("moved since the last point, relative to the weights")
    axes[0, 1].legend()
    for name in trace.points[0].reported:
        axes[1, 1].plot(seen, [point.reported[name] for point in trace.points], label=name)
    for place in axes[1]:
        place.set_xlabel("impressions")
    if trace.points[0].reported:
        axes[1, 1].set_title("reported by the mode")
        axes[1, 1].legend()
    else:
        axes[1, 1].set_axis_off()
    figure.suptitle(found.label)
    save(figure, output)
