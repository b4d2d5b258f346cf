"""`ctrbench cost | curve | history | explain`: tables that can also be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrbench.cli._options import FAILED, BenchmarkArgument, JsonOption
from ctrbench.errors import ConfigError, DataError
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo, show
from ctrbench.workspace import Workspace


def _drawable(output: Path | None) -> Path | None:
    """Return the path of a figure, which is checked before any work."""
    from ctrbench.figures import check_drawable

    if output is not None:
        check_drawable(output)
    return output


DrawingOption = Annotated[
    Path | None, typer.Option(help="Also write a figure: .png, .svg, .pdf.", callback=_drawable)
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    for command in (cost, curve, history, explain):
        app.command()(command)


def cost(
    context: typer.Context,
    file: BenchmarkArgument,
    output: DrawingOption = None,
    against: Annotated[
        str, typer.Option(help="The cost axis of the figure: latency, bytes or training.")
    ] = "latency",
    json: JsonOption = False,
) -> None:
    """Show the gain and the cost of each arm of FILE: parameters, training, latency, bytes.

    Gains and training times are read from stored records. Latencies are measured now, on one
    thread, including packing, with an untrained model of the first seed.
    """
    from ctrbench.analysis.matrices import judged
    from ctrbench.figures import save, scatter
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records
    from ctrbench.runner.costs import check_axis, measure_costs
    from ctrbench.terminal import costs as terminal

    check_axis(against)
    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    records = stored_records(workspace, list(matrix.cells()))
    found = measure_costs(workspace, matrix, records, judged(workspace, matrix, records))
    show(found, json, terminal.show)
    if output is not None:
        panel = found.panel(against)
        save(lambda: scatter([panel], found.metric, front=True), output)
        echo(f"wrote {output}", err=json)
    for arm in found.refused:
        echo(f"{arm.comparison.label}: {arm.reason}", err=True)
    if found.refused:
        raise typer.Exit(FAILED)


def curve(
    context: typer.Context,
    file: BenchmarkArgument,
    setting: Annotated[str, typer.Option(help="The setting that varies.")] = "codebook_size",
    output: DrawingOption = None,
    json: JsonOption = False,
) -> None:
    """Show the headline delta by the value of a setting of modes or training.

    A list in FILE, such as `cluster_id: {codebook_size: [50, 200, 1000]}`, varies a setting. All
    intervals are simultaneous over the file's comparisons, as in its table.
    """
    from ctrbench.analysis.curves import curves
    from ctrbench.analysis.matrices import judged
    from ctrbench.figures import draw_curves, save
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records
    from ctrbench.terminal import curves as terminal

    workspace: Workspace = context.obj
    matrix = read_matrix(file, workspace)
    gains = judged(workspace, matrix, stored_records(workspace, matrix.cells()))
    found = curves(matrix, setting, gains)
    show(found, json, terminal.show)
    if output is not None:
        save(lambda: draw_curves(found.curves, found.metric, setting), output)
        echo(f"wrote {output}", err=json)


def history(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="The name of a data set.", autocompletion=completing.datasets)
    ],
    file: Annotated[
        Path | None,
        typer.Option(help="Show the settings, seeds and headline of this benchmark file."),
    ] = None,
    output: DrawingOption = None,
    json: JsonOption = False,
) -> None:
    """Show what each version of DATASET gains, by the date on which it was added.

    Shows every stored version, whichever file it was run with. Unless --file is given, each mode
    is shown under the settings with which most versions were run.
    """
    from ctrbench.analysis.history import history as versions_over_time
    from ctrbench.analysis.stored_versions import stored_versions
    from ctrbench.figures import figure, save
    from ctrbench.matrix import read_matrix
    from ctrbench.plan import effect_of
    from ctrbench.terminal import history as terminal

    workspace: Workspace = context.obj
    stored = stored_versions(workspace, dataset)
    matrix = None if file is None else read_matrix(file, workspace)
    if matrix is not None and matrix.dataset.name != dataset:
        raise ConfigError(f"{file} is a benchmark of '{matrix.dataset.name}', not of '{dataset}'.")
    effect = effect_of(None, matrix.file.effect if matrix else None)
    found = versions_over_time(stored, effect, matrix)
    show(found, json, terminal.show)
    if output is not None:
        kind = figure("history")
        if lacks := kind.lacks(found.content):
            raise DataError(f"{output} is not written: {lacks}")
        save(lambda: kind.draw(found.content), output)
        echo(f"wrote {output}", err=json)


def explain(
    context: typer.Context,
    cell: Annotated[
        str, typer.Argument(help="The hash of a cell, or its first characters.", show_default=False)
    ],
    output: DrawingOption = None,
    json: JsonOption = False,
) -> None:
    """Show how a cell of `ctrbench run FILE --trace` learned, and which inputs it uses.

    Gradient: its norm at the last batch before the point. Moved: the L2 distance since the previous
    point, relative to the norm of the weights. Decrease: that of GAUC and AUC if the ids, or the
    images, of the test items are permuted.
    """
    from ctrbench.analysis.traces import explained
    from ctrbench.figures import draw_trace, save
    from ctrbench.terminal import traces as terminal

    found = explained(context.obj, cell)
    show(found, json, terminal.show)
    if output is not None:
        save(lambda: draw_trace(found), output)
        echo(f"wrote {output}", err=json)
