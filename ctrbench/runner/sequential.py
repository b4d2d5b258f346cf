"""Add seeds to a matrix until every comparison is decided, cannot be, or the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Literal

from ctrbench.analysis import Comparison
from ctrbench.errors import ConfigError
from ctrbench.plan import Matrix
from ctrbench.runner.run import Observer, run_matrix
from ctrbench.schema import CellRecord
from ctrbench.stats import Inference, Verdict, need, parse_points
from ctrbench.workspace import Workspace

State = Verdict | Literal["undecidable on this test set", "out of budget"]
FEWEST_SEEDS = 3  # of the first look; one seed says nothing of seeds, two next to nothing
Judge = Callable[[Matrix, dict[str, CellRecord], int], Mapping[Comparison, Inference]]


@dataclass(frozen=True)
class Outcome:
    """How a sequential run ended."""

    matrix: Matrix  # with all seeds that were used
    records: dict[str, CellRecord]
    looks: int  # that were planned, whether needed or not
    states: Mapping[Comparison, State]


def looks(first: int, most: int) -> list[int]:
    """The numbers of seeds at which the comparisons are judged: doubled each time, at last `most`.

    >>> looks(3, 20)
    [3, 6, 12, 20]
    """
    found = [first]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def run_until_decided(
    workspace: Workspace,
    matrix: Matrix,
    jobs: int,
    retry_failed: bool,
    observer: Observer,
    most_seeds: int,
    effect: float,
    judge: Judge,
) -> Outcome:
    """Train look by look; the looks are fixed beforehand and share the 5 % evenly.

    A comparison is decided by its interval: better, worse, or no worse than the file's margin. It
    is undecidable where an effect of this size would be missed at any number of seeds, because the
    sampling of the test users alone hides it.

    Args:
        workspace: of the data.
        matrix: its own seeds are the first look, or three if it has fewer.
        jobs: cells at once.
        retry_failed: train failed cells again.
        observer: is told how it goes.
        most_seeds: of the last look.
        effect: > 0, a fraction; the smallest effect worth knowing of.
        judge: the inferences by comparison, from a matrix, its records and the number of looks.

    Raises:
        ConfigError: fewer seeds at most than the file has.

    Source: group-sequential testing with equal Bonferroni shares, as the simplest of the rules in
    Jennison and Turnbull 1999, chapter 2; its error is bounded whatever the looks share.
    """
    given = len(matrix.file.seeds)
    first = max(given, FEWEST_SEEDS)
    if most_seeds < first:
        told = f"the file has {given} seeds already" if given == first else "it starts with three"
        raise ConfigError(f"--most-seeds {most_seeds}: {told}.")
    margin = parse_points(matrix.file.margin, "margin")
    planned = looks(first, most_seeds)
    records: dict[str, CellRecord] = {}
    states: dict[Comparison, State] = {}
    for seeds in planned:
        matrix = _with_seeds(matrix, seeds)
        records = run_matrix(workspace, matrix, jobs, retry_failed, observer)
        found = judge(matrix, records, len(planned))
        states = {
            comparison: _state(one, effect, margin, len(found)) for comparison, one in found.items()
        }
        if states and all(state != "out of budget" for state in states.values()):
            break
    return Outcome(matrix, records, len(planned), states)


def _state(inference: Inference, effect: float, margin: float, comparisons: int) -> State:
    verdict = inference.verdict(margin)
    if verdict != "inconclusive":
        return verdict
    hidden = need(inference, effect, comparisons).smallest_effect > effect
    return "undecidable on this test set" if hidden else "out of budget"


def _with_seeds(matrix: Matrix, wanted: int) -> Matrix:
    """The file's own seeds, then the smallest numbers that are not among them."""
    own = matrix.file.seeds
    more = islice((seed for seed in count() if seed not in own), wanted - len(own))
    return replace(matrix, file=matrix.file.model_copy(update={"seeds": (*own, *more)}))
