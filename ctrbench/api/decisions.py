"""Decisions between two arms, their power, and rankings over data sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.api.inputs import Frame, Home, Location, Memory, listed, opened
from ctrbench.api.matrices import Matrix, checked, records
from ctrbench.plan import BenchmarkFile, effect_of

if TYPE_CHECKING:
    from ctrbench.analysis.power import Required
    from ctrbench.analysis.ranking import Rankings
    from ctrbench.analysis.two_arms import Decision, Gate
    from ctrbench.runner.exported import ExportedPredictions
    from ctrbench.runner.imported import Imported

METRIC = "gauc"
MARGIN: str = BenchmarkFile.model_fields["margin"].default


def compare(
    a: str | Frame,
    b: str | Frame,
    *,
    matrix: Matrix | None = None,
    metric: str = METRIC,
    margin: str = MARGIN,
    fail_on: Gate | None = None,
    any_settings: bool = False,
    scores: bool = False,
    ignore: str | Iterable[str] = (),
    workspace: Home = ".",
) -> Decision:
    """Compare A with B, paired by seed, on the same test impressions.

    Args:
        a: The arm that may be shipped: `DATASET/VERSION/MODE` of stored cells (`none`: the
            baseline), `VERSION/MODE` of a matrix, or predictions as a file or a `Frame`.
        b: The reference, named in the same way.
        matrix: The matrix of the arms, which selects the settings.
        metric: A metric with intervals.
        margin: A smaller loss is acceptable.
        fail_on: `worse` or `not-better`; sets `failed` of the decision.
        any_settings: Also compare arms with different settings.
        scores: Whether p_click of predictions may be any numbers.
        ignore: Columns of predictions to ignore.
        workspace: The workspace of stored cells, or its folder.

    Raises:
        ConfigError: The names cannot be combined, or the arms were trained with different settings.
        DataError: The arms cannot be compared on the metric.
        UnknownNameError: An arm does not exist.
    """
    from ctrbench.analysis.two_arms import decide
    from ctrbench.runner.arms import Question, compared
    from ctrbench.stats import parse_points

    loss = parse_points(margin, "margin")
    question = Question(metric, any_settings, scores, listed(ignore))
    one = None if matrix is None else checked(matrix)
    home = opened(workspace) if one is None else one.workspace
    with Memory() as memory:
        ours, theirs = memory.table(a, "a"), memory.table(b, "b")
        found = compared(home, ours, theirs, one.checked if one else None, question)
        found = replace(found, a=memory.named(found.a), b=memory.named(found.b))
    return decide(found, loss, fail_on)


def import_predictions(
    predictions: Location | Frame,
    name: str,
    *,
    dataset: str,
    label: str | None = None,
    workspace: Home = ".",
) -> Imported:
    """Import another model's predictions of the test impressions, as a row of tables.

    Args:
        predictions: A file or a `Frame` with impression_id of an export, or user_id, item_id and
            timestamp; p_click (probabilities) or score (any numbers); optionally seed.
        name: The name of the predictions.
        dataset: The name of the data set.
        label: The predicted label of the data set; None: the click.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: Columns are missing, or the name has other predictions.
        DataError: Values are invalid, or impressions are missing, repeated or unknown.
        StoreError: The results cannot be written.
        UnknownNameError: The data set does not exist, or does not have the label.
    """
    from ctrbench.runner.imported import import_predictions as imported

    with Memory() as memory:
        path = Path(memory.table(predictions, "predictions"))
        source = memory.named(str(path))
        return imported(opened(workspace), path, name, dataset, label, source)


def export_predictions(matrix: Matrix, output: Location) -> ExportedPredictions:
    """Write the predictions of the test impressions, and the results of each user, as Parquet.

    Args:
        matrix: The matrix, with stored cells.
        output: The folder to create.

    Raises:
        ConfigError: The folder exists.
        DataError: No predictions of the matrix are stored.
        StoreError: The folder cannot be written.
    """
    from ctrbench.runner.exported import export_predictions as exported

    one = checked(matrix)
    return exported(one.workspace, one.checked, Path(output))


def power(matrix: Matrix, effect: str | None = None) -> Required:
    """Compute how many seeds or test users a matrix requires to detect an effect.

    Args:
        matrix: The matrix, with stored cells.
        effect: The effect to detect, such as `0.1pp`; None: that of the matrix.

    Raises:
        ConfigError: The effect has no unit, or is 0.
        DataError: Too few cells are stored.
    """
    from ctrbench.analysis.power import required

    one = checked(matrix)
    wanted = effect_of(effect, one.checked.file.effect)
    return required(one.workspace, one.checked, records(one), wanted)


def ranks(matrices: Sequence[Matrix]) -> Rankings:
    """Rank modes and versions over the data sets of several matrices, and test the ranking.

    Args:
        matrices: One per data set, all of one workspace.

    Raises:
        ConfigError: There are too few data sets, or they share nothing.
    """
    from ctrbench.analysis.ranking import rankings

    found = [checked(one) for one in matrices]
    home = found[0].workspace if found else opened(".")
    return rankings(home, [(one.checked, records(one)) for one in found])
