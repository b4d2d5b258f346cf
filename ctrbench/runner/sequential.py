"""Add seeds until every comparison is decided or undecidable, or the budget is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any, Literal

from ctrbench.analysis import Comparison
from ctrbench.analysis.matrices import judged
from ctrbench.errors import ConfigError
from ctrbench.executors import Executor
from ctrbench.plan import Matrix
from ctrbench.runner.run import Observer, run_matrix
from ctrbench.schema import CellRecord
from ctrbench.stats import Inference, Verdict, need, parse_points
from ctrbench.workspace import Workspace

State = Verdict | Literal["undecidable on this test set", "out of budget"]
FEWEST_SEEDS = 3  # of the first interim analysis; fewer do not estimate the seed variance


@dataclass(frozen=True)
class Outcome:
    """The result of a sequential run."""

    matrix: Matrix  # with all trained seeds
    records: dict[str, CellRecord]
    looks: int  # planned interim analyses, including those that were not needed
    states: Mapping[Comparison, State]
    effect: float  # a fraction: the smallest effect of interest

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return all seeds that were used."""
        return self.matrix.file.seeds

    def plain(self) -> dict[str, Any]:
        """Return seeds, number of analyses, effect, and the state of every comparison."""
        return {
            "seeds": self.seeds,
            "looks": self.looks,
            "effect": self.effect,
            "comparisons": [
                {**comparison.plain(), "state": state} for comparison, state in self.states.items()
            ],
        }


def interim_seeds(first: int, most: int) -> list[int]:
    """Return the number of seeds of each interim analysis: doubled each time, `most` at the end.

    Args:
        first: Seeds of the first analysis, at least 1.
        most: Seeds of the last analysis, at least `first`.

    >>> interim_seeds(3, 20)
    [3, 6, 12, 20]
    """
    found = [first]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return found


def run_until_decided(
    workspace: Workspace,
    matrix: Matrix,
    jobs: int | Executor,
    retry_failed: bool,
    observer: Observer,
    most_seeds: int,
    effect: float,
) -> Outcome:
    """Train seeds in steps with an interim analysis after each, until the stopping rule holds.

    The number of analyses is fixed before the first; each has an equal share of the 5 % level. A
    comparison is decided if its interval shows that it is better, worse, or no worse than the
    file's margin. It is undecidable if the test users' variance alone makes the minimum detectable
    effect exceed `effect`, whatever the number of seeds.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix. Its seeds are the first step, or three if it has fewer.
        jobs: Number of cells trained at once on this machine, at least 1; or an executor.
        retry_failed: Train failed cells again.
        observer: Receives the progress.
        most_seeds: Seeds of the last analysis.
        effect: The smallest effect of interest, a fraction > 0.

    Raises:
        ConfigError: `most_seeds` is below the number of seeds of the first analysis.

    Source: Jennison and Turnbull 1999, chapter 2: group-sequential testing, here with equal
    Bonferroni shares, which bound the error whatever the dependence between analyses.
    """
    given = len(matrix.file.seeds)
    first = max(given, FEWEST_SEEDS)
    if most_seeds < first:
        reason = f"the file has {given} seeds" if given == first else f"the minimum is {first}"
        raise ConfigError(f"--most-seeds {most_seeds}: {reason}. Give at least {first}.")
    margin = parse_points(matrix.file.margin, "margin")
    planned = interim_seeds(first, most_seeds)
    records: dict[str, CellRecord] = {}
    states: dict[Comparison, State] = {}
    for seeds in planned:
        matrix = _with_seeds(matrix, seeds)
        records = run_matrix(workspace, matrix, jobs, retry_failed, observer)
        found = judged(workspace, matrix, records, len(planned))
        states = {
            comparison: _state(one, effect, margin, len(found)) for comparison, one in found.items()
        }
        if states and all(state != "out of budget" for state in states.values()):
            break
    return Outcome(matrix, records, len(planned), states, effect)


def _state(inference: Inference, effect: float, margin: float, comparisons: int) -> State:
    verdict = inference.verdict(margin)
    if verdict != "inconclusive":
        return verdict
    undetectable = need(inference, effect, comparisons).smallest_effect > effect
    return "undecidable on this test set" if undetectable else "out of budget"


def _with_seeds(matrix: Matrix, wanted: int) -> Matrix:
    """Return the matrix with the file's seeds and the smallest other numbers after them."""
    own = matrix.file.seeds
    more = islice((seed for seed in count() if seed not in own), wanted - len(own))
    return replace(matrix, file=matrix.file.model_copy(update={"seeds": (*own, *more)}))
