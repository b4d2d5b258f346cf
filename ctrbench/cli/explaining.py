"""`ctrbench explain CELL`: how a cell learned, and which of its inputs it uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.cli._drawings import require_drawable
from ctrbench.errors import ConfigError
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctrbench.schema import CellRecord, Trace

SHOWN = (0.1, 0.5, 1.0)  # of the epoch
SHORTEST = 4  # letters of a hash


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(explain)


def explain(
    context: typer.Context,
    cell: Annotated[str, typer.Argument(help="Its hash, or the start of it.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="Draw the curves into this .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Say in numbers how a cell of `ctrbench run FILE --trace` learned and what it uses.

    Gradient: the norm at the last batch before the point. Moved: the way since the point before,
    relative to the weights' norm. Lost: what GAUC and AUC lose when items of the test period bear
    each other's ids, or each other's images.
    """
    from ctrbench.store import Store

    workspace: Workspace = context.obj
    require_drawable(output)
    record = _found(workspace, cell)
    trace = Store(workspace).read_trace(record.cell)
    if trace is None:
        raise ConfigError(
            f"cell {record.hash} ({record.cell.label}) was trained without a trace: "
            "`ctrbench run FILE --trace` trains it once more, to the same result."
        )
    _print(record, trace)
    if output is not None:
        _draw(record, trace, output)
        typer.echo(f"wrote {output}")


def _found(workspace: Workspace, wanted: str) -> CellRecord:
    """The one finished cell of that hash, or of DATASET/VERSION/MODE and perhaps /SEED."""
    from ctrbench.store import Store

    store, parts = Store(workspace), wanted.split("/")
    if len(parts) == 1 and len(wanted) < SHORTEST:
        raise ConfigError(f"{wanted!r} is too short for a cell: give {SHORTEST} letters or more.")
    folders = [path.name for path in sorted(workspace.results.glob("*")) if path.is_dir()]
    found = [
        record
        for dataset in folders
        for record in store.records(dataset)
        if record.status == "done" and _matches(record, parts)
    ]
    if len(parts) == 3:  # no seed was said: the first
        first = min((record.cell.seed for record in found), default=0)
        found = [record for record in found if record.cell.seed == first]
    traced = [record for record in found if store.read_trace(record.cell) is not None]
    found = traced or found
    if len(found) == 1:
        return found[0]
    told = "; ".join(f"{record.hash} is {record.cell.label}" for record in found[:5])
    raise ConfigError(
        f"{len(found)} finished cells are {wanted!r}{f': {told}' if told else ''}. Give a hash, "
        "or DATASET/VERSION/MODE, or that and /SEED."
    )


def _matches(record: CellRecord, parts: list[str]) -> bool:
    if len(parts) == 1:
        return record.hash.startswith(parts[0])
    cell = record.cell
    own = [cell.dataset, cell.version_label, cell.mode, str(cell.seed)]
    return own[: len(parts)] == parts and not cell.repeat


def _print(record: CellRecord, trace: Trace) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{record.cell.label}: how its parts learned")
    table.add_column("part", no_wrap=True)
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
    console.print(table)
    for line in _told(record, trace):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _told(record: CellRecord, trace: Trace) -> Iterator[str]:
    """A paragraph of plain numbers."""
    first, last = trace.points[0], trace.points[-1]
    yield f"Loss {first.loss:.4f} at {first.impressions:,} impressions, {last.loss:.4f} at the end."
    if "image" in last.blocks:
        ratios = [
            point.blocks["image"].gradient / point.blocks["ids"].gradient
            for point in (first, last)
            if point.blocks["ids"].gradient
        ]
        if len(ratios) == 2:
            yield (
                f"The gradient of the image block is {ratios[0]:.2f} times that of the ids at the "
                f"first point and {ratios[1]:.2f} times at the last."
            )
        half = half_way(trace)
        told = ", ".join(f"{part} {share:.0%}" for part, share in half.items())
        yield f"Share of the epoch after which half of the way was gone: {told}."
    for name, value in last.reported.items():
        yield f"{name}: {first.reported[name]:.3f} at the first point, {value:.3f} at the last."
    names = {"image": "images", "item_id": "item ids"}
    for which, lost in trace.permuted.items():
        told = ", ".join(f"{100 * value:+.2f} pp of {name.upper()}" for name, value in lost.items())
        yield f"Lost when items of the test period bear each other's {names[which]}: {told}."


def half_way(trace: Trace) -> dict[str, float]:
    """Of the way that each part went in all, point by point, the share of the epoch to half."""
    found = {}
    for part in trace.points[0].blocks:
        gone, total = 0.0, sum(point.blocks[part].update for point in trace.points)
        for number, point in enumerate(trace.points, start=1):
            gone += point.blocks[part].update
            if gone >= total / 2:
                found[part] = number / len(trace.points)
                break
    return found


def _draw(record: CellRecord, trace: Trace, output: Path) -> None:
    """Loss, gradients and ways along the epoch."""
    from ctrbench.cli._drawings import new_figure, save

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
    figure.suptitle(record.cell.label)
    save(figure, output)
