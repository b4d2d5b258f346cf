"""Two arms by their names: stored ones, those of a benchmark file, or files of predictions."""

from __future__ import annotations

from dataclasses import dataclass

from ctrbench import metrics
from ctrbench.analysis.prediction_files import is_file
from ctrbench.analysis.two_arms import (
    Compared,
    compare_arms,
    compare_predictions,
    matrix_arm,
    matrix_cells,
    stored_arms,
)
from ctrbench.errors import ConfigError
from ctrbench.plan import Matrix
from ctrbench.runner.run import complete, stored_records
from ctrbench.workspace import Workspace


@dataclass(frozen=True)
class Question:
    """The settings of a comparison of two arms."""

    metric: str = "gauc"
    any_settings: bool = False  # compare arms with different settings, too
    scores: bool = False  # predictions are scores; only their order counts
    ignore: tuple[str, ...] = ()  # columns of files to ignore


def compared(
    workspace: Workspace, a: str, b: str, matrix: Matrix | None, question: Question
) -> Compared:
    """Return the paired difference of two arms.

    Args:
        workspace: The workspace that holds the results.
        a: The arm that may be shipped: a file of predictions, `VERSION/MODE` of a benchmark file,
            or `DATASET/VERSION/MODE` of the store.
        b: The reference, named in the same way.
        matrix: The matrix of the arms, if `a` and `b` are arms of one.
        question: The settings of the comparison.

    Raises:
        ConfigError: The names cannot be combined, or the arms were trained with different settings.
        DataError: The arms cannot be compared on the metric.
        UnknownNameError: An arm does not exist, or no metric with intervals has the name.
    """
    of = metrics.comparable(question.metric)
    if is_file(a) or is_file(b):
        if not (is_file(a) and is_file(b)) or matrix is not None:
            raise ConfigError(
                f"{a} and {b}: give two files of predictions and no --file, or two stored arms."
            )
        return compare_predictions(a, b, question.metric, question.scores, question.ignore)
    if question.scores or question.ignore:
        raise ConfigError("--scores and --ignore are for files of predictions.")
    if matrix is None:
        ours, theirs = stored_arms(workspace, a, b)
    else:
        matrix = matrix.with_metrics([of.name] if of.on_request else [])
        cells = [cell for name in (a, b) for cell in matrix_cells(matrix, name)]
        records = complete(workspace, matrix, stored_records(workspace, cells))
        ours, theirs = (matrix_arm(matrix, records, name) for name in (a, b))
    return compare_arms(workspace, ours, theirs, question.metric, question.any_settings)
