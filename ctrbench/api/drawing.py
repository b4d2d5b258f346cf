"""Costs, curves, versions over time, traces, figures and the report page."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.analysis.curves import Curves
from ctrbench.analysis.history import VersionHistory
from ctrbench.analysis.traces import Explained
from ctrbench.api.inputs import Home, Location, described, opened
from ctrbench.api.matrices import Matrix, checked, records
from ctrbench.errors import ConfigError, DataError
from ctrbench.figures import Drawn
from ctrbench.plan import effect_of
from ctrbench.runner.costs import Costs

if TYPE_CHECKING:
    from ctrbench.page import Page

AXIS = "latency"  # of the figure of costs
SETTING = "codebook_size"  # of a curve
PAGES = (".html", ".htm")


def cost(matrix: Matrix) -> Costs:
    """Return the gain and the cost of each arm: parameters, training, latency, bytes.

    Latencies are measured now, on one thread, with an untrained model of the first seed.

    Raises:
        DataError: No arm can be measured.
    """
    from ctrbench.analysis.matrices import judged
    from ctrbench.runner import stored_records
    from ctrbench.runner.costs import measure_costs

    one = checked(matrix)
    stored = stored_records(one.workspace, list(one.checked.cells()))
    gains = judged(one.workspace, one.checked, stored)
    return measure_costs(one.workspace, one.checked, stored, gains)


def curve(matrix: Matrix, setting: str = SETTING) -> Curves:
    """Return the headline delta by the value of a setting of modes or training.

    Args:
        matrix: A matrix in which a list varies the setting.
        setting: The name of the setting.

    Raises:
        ConfigError: The setting does not vary.
    """
    from ctrbench.analysis.curves import curves
    from ctrbench.analysis.matrices import judged
    from ctrbench.runner import stored_records

    one = checked(matrix)
    stored = stored_records(one.workspace, one.checked.cells())
    return curves(one.checked, setting, judged(one.workspace, one.checked, stored))


def history(dataset: str, matrix: Matrix | None = None, *, workspace: Home = ".") -> VersionHistory:
    """Return what each version of a data set gains, by the date on which it was added.

    Args:
        dataset: The name of the data set.
        matrix: The matrix whose settings, seeds and headline are used; None: for each mode the
            settings with which most versions were run.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: The matrix is one of another data set.
        UnknownNameError: The data set does not exist.
    """
    from ctrbench.analysis.history import history as versions_over_time
    from ctrbench.analysis.stored_versions import stored_versions

    one = None if matrix is None else checked(matrix)
    home = opened(workspace) if one is None else one.workspace
    stored = stored_versions(home, dataset)
    if one is not None and one.checked.dataset.name != dataset:
        raise ConfigError(
            f"{one.path} is a benchmark of '{one.checked.dataset.name}', not of '{dataset}'."
        )
    effect = effect_of(None, one.checked.file.effect if one else None)
    return versions_over_time(stored, effect, one.checked if one else None)


def explain(cell: str, *, workspace: Home = ".") -> Explained:
    """Return how a cell of `run(matrix, traced=True)` learned, and which inputs it uses.

    Args:
        cell: The hash of a cell, or its first characters.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: No such cell.
        ConfigError: The cell has no trace, or several cells match.
    """
    from ctrbench.analysis.traces import explained

    return explained(opened(workspace), cell)


@singledispatch
def draw(found: Costs | Curves | VersionHistory | Explained, against: str = AXIS) -> Drawn:
    """Return the figure of a result of `cost`, `curve`, `history` or `explain`.

    Args:
        found: The result.
        against: The cost axis of costs: `latency`, `bytes` or `training`.

    Raises:
        ConfigError: The result has no figure, or no such axis.
        DataError: There is nothing to draw.
    """
    del against
    raise ConfigError(
        f"{described(found)} has no figure; give a result of cost, curve, history or explain."
    )


@draw.register
def _(found: Costs, against: str = AXIS) -> Drawn:
    from ctrbench.figures import scatter
    from ctrbench.runner.costs import check_axis

    check_axis(against)
    panel = found.panel(against)
    return Drawn(lambda: scatter([panel], found.metric, front=True))


@draw.register
def _(found: Curves, against: str = AXIS) -> Drawn:
    from ctrbench.figures import draw_curves

    del against
    return Drawn(lambda: draw_curves(found.curves, found.metric, found.setting))


@draw.register
def _(found: VersionHistory, against: str = AXIS) -> Drawn:
    from ctrbench.figures import figure

    del against
    kind = figure("history")
    if lacks := kind.lacks(found.content):
        raise DataError(f"no figure: {lacks}")
    return Drawn(lambda: kind.draw(found.content))


@draw.register
def _(found: Explained, against: str = AXIS) -> Drawn:
    from ctrbench.figures import draw_trace

    del against
    return Drawn(lambda: draw_trace(found))


def plot(matrix: Matrix, kind: str) -> Drawn:
    """Return one figure of the report from stored cells; trains nothing.

    Args:
        matrix: The matrix.
        kind: One of the kinds of figures that `list_names` returns, such as `forest`.

    Raises:
        DataError: There is nothing to draw.
        UnknownNameError: No such kind.
    """
    from ctrbench.analysis.qualities import qualities
    from ctrbench.analysis.shown import shown
    from ctrbench.figures import figure

    chosen, one = figure(kind), checked(matrix)
    stored = records(one)
    known = qualities(one.workspace, one.checked) if kind == "quality" else None
    content = shown(one.workspace, one.checked, stored, known)
    if lacks := chosen.lacks(content):
        raise DataError(f"{kind} has nothing to draw: {lacks}")
    return Drawn(lambda: chosen.draw(content))


def report(matrix: Matrix, output: Location = "report.html", *, pictures: bool = True) -> Page:
    """Write one self-contained HTML page from stored cells, and return its content.

    Args:
        matrix: The matrix.
        output: The HTML file.
        pictures: Show neighbours, clusters and users with the pictures of their items.

    Raises:
        ConfigError: The file name does not end in .html.
        StoreError: The file cannot be written.
    """
    from ctrbench.atomic import check_writable
    from ctrbench.page import gather, write_page

    path = Path(output)
    if path.suffix not in PAGES:
        raise ConfigError(f"{path}: give the page a name that ends in {' or '.join(PAGES)}.")
    check_writable(path)
    one = checked(matrix)
    page = gather(one.workspace, one.checked, records(one), pictures)
    write_page(page, path)
    return page
