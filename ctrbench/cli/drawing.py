"""`ctrbench cost | curve | history | explain`: tables that can also be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import ctrbench
from ctrbench.cli._options import FAILED, BenchmarkArgument, JsonOption
from ctrbench.terminal import completing
from ctrbench.terminal.output import echo, show


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
    from ctrbench.runner.costs import check_axis
    from ctrbench.terminal import costs as terminal

    check_axis(against)
    found = ctrbench.cost(ctrbench.read_matrix(file, context.obj))
    show(found, json, terminal.show)
    _draw(found, output, json, against)
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
    from ctrbench.terminal import curves as terminal

    found = ctrbench.curve(ctrbench.read_matrix(file, context.obj), setting)
    show(found, json, terminal.show)
    _draw(found, output, json)


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
    from ctrbench.terminal import history as terminal

    matrix = None if file is None else ctrbench.read_matrix(file, context.obj)
    found = ctrbench.history(dataset, matrix, workspace=context.obj)
    show(found, json, terminal.show)
    _draw(found, output, json)


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
    from ctrbench.terminal import traces as terminal

    found = ctrbench.explain(cell, workspace=context.obj)
    show(found, json, terminal.show)
    _draw(found, output, json)


def _draw(found: Any, output: Path | None, json: bool, *against: str) -> None:
    """Write the figure of a result, if one is requested."""
    if output is not None:
        ctrbench.draw(found, *against).save(output)
        echo(f"wrote {output}", err=json)
