"""Rankings of modes and of versions over several matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ctrbench.analysis.matrices import Records, headline_deltas
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, DataError
from ctrbench.injection import BASELINE
from ctrbench.plan import Matrix
from ctrbench.stats.ranks import Ranking, rank
from ctrbench.workspace import Workspace

Deltas = dict[tuple[str, str], float]  # names of version and mode -> mean delta of the headline, pp


@dataclass(frozen=True)
class Rankings(Displayed, view="rankings.show"):
    """The rankings of modes and of versions over the same data sets."""

    headline: str
    datasets: tuple[str, ...]
    pairs: int  # number of (version, mode) pairs common to all data sets
    left_out: tuple[str, ...]  # versions without a cell of some mode on some data set
    modes: Ranking
    versions: Ranking


def rankings(workspace: Workspace, stored: Sequence[tuple[Matrix, Records]]) -> Rankings:
    """Return the rankings of modes and of versions.

    Args:
        workspace: The workspace that holds the results.
        stored: Matrices, one per data set, with their records.

    Raises:
        ConfigError: Two files name one data set, or have different headline metrics.
        DataError: A file has no finished comparison, or no version and mode is common to all files.
    """
    datasets = tuple(matrix.dataset.name for matrix, _ in stored)
    for name in datasets:
        if datasets.count(name) > 1:
            raise ConfigError(
                f"{datasets.count(name)} files name data set {name}; give one file per data set."
            )
    headlines = {matrix.file.headline for matrix, _ in stored}
    if len(headlines) > 1:
        raise ConfigError(
            f"the files have different headline metrics: {', '.join(sorted(headlines))}."
        )
    (headline,) = headlines
    found = [_deltas(workspace, matrix, records) for matrix, records in stored]
    shared = set(found[0]).intersection(*found[1:])
    modes = {mode for _, mode in shared}
    common = sorted(place for place in shared if all((place[0], m) in shared for m in modes))
    left_out = sorted({version for version, _ in shared} - {version for version, _ in common})
    if not common:
        raise DataError(
            f"no version and mode has finished cells on all of {', '.join(datasets)}; ranks "
            "require the same names in every file."
        )
    by_mode, by_version = (_ranked(found, common, axis) for axis in (1, 0))
    return Rankings(headline, datasets, len(common), tuple(left_out), by_mode, by_version)


def _deltas(workspace: Workspace, matrix: Matrix, records: Records) -> Deltas:
    return {
        (one.row.label, one.column.label): delta.mean_pp
        for one, delta in headline_deltas(workspace, matrix, records).items()
    }


def _ranked(found: list[Deltas], common: list[tuple[str, str]], axis: int) -> Ranking:
    """Return the ranking of means over the other axis; the baseline has delta 0."""
    names = sorted({place[axis] for place in common})
    scores = [
        [fmean(deltas[place] for place in common if place[axis] == name) for name in names] + [0.0]
        for deltas in found
    ]
    return rank(scores, [*names, BASELINE])
