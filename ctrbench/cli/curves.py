"""`ctrbench curve FILE`: the gain against a setting that varies, such as the number of codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.cli._drawings import require_drawable
from ctrbench.cli.matrix import BenchmarkArgument
from ctrbench.errors import ConfigError
from ctrbench.metrics import find
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.analysis import Comparison
    from ctrbench.plan import Column, Matrix
    from ctrbench.stats import Inference

Points = list[tuple[float, "Inference"]]  # value of the setting, what was gained


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(curve)


def curve(
    context: typer.Context,
    file: BenchmarkArgument,
    setting: Annotated[str, typer.Option(help="The one that varies.")] = "codebook_size",
    output: Annotated[
        Path | None, typer.Option(help="Draw the curves into this .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Show the headline's delta against a setting of modes or training, from what is stored.

    `cluster_id: {codebook_size: [50, 200, 1000]}` in FILE spans such a grid. All intervals are
    simultaneous over the file's comparisons, as in its table.
    """
    from ctrbench.analysis.matrices import judged
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records

    workspace: Workspace = context.obj
    require_drawable(output)
    matrix = read_matrix(file, workspace)
    gains = judged(workspace, matrix, stored_records(workspace, matrix.cells()))
    curves = _curves(matrix, setting, gains)
    for name, points in curves.items():
        typer.echo(f"{name}, delta of {find(matrix.file.headline).title} in pp:")
        for value, gain in points:
            told = f"{100 * gain.estimate:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
            typer.echo(f"  {setting} {value:g}: {told}")
    if output is not None:
        _draw(curves, setting, matrix.file.headline, output)
        typer.echo(f"wrote {output}")


def _curves(matrix: Matrix, setting: str, gains: dict[Comparison, Inference]) -> dict[str, Points]:
    """The points of every version and column that differ in the setting alone."""
    from ctrbench.analysis import Comparison

    varied: dict[str, dict[float, Column]] = {}  # name without the setting -> value -> column
    for column in matrix.columns:
        settings = (column.settings, column.training)
        value = next((getattr(one, setting) for one in settings if hasattr(one, setting)), None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            parts = column.label.split()
            rest = " ".join(part for part in parts if not part.startswith(f"{setting}="))
            varied.setdefault(rest, {})[value] = column
    varied = {rest: columns for rest, columns in varied.items() if len(columns) > 1}
    if not varied:
        raise ConfigError(
            f"nothing in this file takes several numbers for {setting}; write a list, such as "
            "cluster_id: {codebook_size: [50, 200, 1000]}."
        )
    curves = {}
    for row in matrix.rows:
        for rest, columns in varied.items():
            found = [
                (value, gains[place])
                for value, column in sorted(columns.items(), key=lambda item: item[0])
                if (place := Comparison(row, column)) in gains
            ]
            if found:
                curves[f"{row.label} / {rest}"] = found
    if not curves:
        raise ConfigError("nothing of these curves is stored yet: `ctrbench run` the file first.")
    return curves


def _draw(curves: dict[str, Points], setting: str, headline: str, output: Path) -> None:
    from ctrbench.cli._drawings import new_figure, save

    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    for name, points in curves.items():
        values = [value for value, _ in points]
        (line,) = axes.plot(values, [100 * gain.estimate for _, gain in points], "o-", label=name)
        low, high = ([100 * getattr(gain, end) for _, gain in points] for end in ("low", "high"))
        axes.fill_between(values, low, high, alpha=0.15, color=line.get_color())
    axes.axhline(0, color="0.6", linewidth=1)
    axes.set_xscale("log")
    ticks = sorted({value for points in curves.values() for value, _ in points})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(setting)
    axes.set_ylabel(f"{find(headline).title} over the baseline, pp, 95 % interval")
    axes.legend()
    save(figure, output)
