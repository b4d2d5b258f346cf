"""Modes and versions ranked over several matrices."""

from __future__ import annotations

from statistics import fmean

from ctrbench.analysis import ComparisonTable
from ctrbench.cli._matrix_views import comparison_table
from ctrbench.errors import ConfigError, DataError
from ctrbench.injection import BASELINE
from ctrbench.plan import Matrix
from ctrbench.runner import complete, stored_records
from ctrbench.stats.ranks import LEVEL, Ranking, rank
from ctrbench.workspace import Workspace

Deltas = dict[tuple[str, str], float]  # (version, mode) -> mean delta of the headline, pp


def ranking(workspace: Workspace, matrices: list[Matrix]) -> str:
    """Both rankings in words.

    Raises:
        ConfigError: two files are of one data set, or of different headline metrics.
        DataError: a file has no finished comparison, or nothing is common to all files.
    """
    datasets = [matrix.dataset.name for matrix in matrices]
    for name in datasets:
        if datasets.count(name) > 1:
            raise ConfigError(f"data set {name} is in {datasets.count(name)} files; one is enough.")
    headlines = {matrix.file.headline for matrix in matrices}
    if len(headlines) > 1:
        raise ConfigError(f"the files judge by different metrics: {', '.join(sorted(headlines))}.")
    (headline,) = headlines
    found = [_deltas(workspace, matrix) for matrix in matrices]
    shared = set(found[0]).intersection(*found[1:])
    modes = {mode for _, mode in shared}
    common = sorted(place for place in shared if all((place[0], m) in shared for m in modes))
    left_out = sorted({version for version, _ in shared} - {version for version, _ in common})
    if not common:
        raise DataError(
            f"no version and mode has finished cells on all of {', '.join(datasets)}; ranks need "
            "the same names in every file."
        )
    told = [
        f"{headline.upper()} deltas on {len(datasets)} data sets: {', '.join(datasets)}. Over "
        f"{len(common)} pairs of version and mode that all of them have."
    ]
    if left_out:
        told.append(f"Left out, for want of a mode somewhere: {', '.join(left_out)}.")
    for axis, what in ((1, "modes"), (0, "versions")):
        told += ["", *_described(what, _ranked(found, common, axis))]
    return "\n".join(told)


def _deltas(workspace: Workspace, matrix: Matrix) -> Deltas:
    records = complete(workspace, matrix, stored_records(workspace, matrix.cells()))
    table: ComparisonTable = comparison_table(workspace, matrix, records)
    return {
        (line.label, column): entry.delta.mean_pp
        for line in table.blocks[0].lines
        for column, entry in zip(table.columns, line.entries, strict=True)
        if entry.delta is not None and not line.control and line.label != line.against
    }


def _ranked(found: list[Deltas], common: list[tuple[str, str]], axis: int) -> Ranking:
    """Means over the other axis; the baseline, whose delta is 0, is a contender as well."""
    names = sorted({place[axis] for place in common})
    scores = [
        [fmean(deltas[place] for place in common if place[axis] == name) for name in names] + [0.0]
        for deltas in found
    ]
    return rank(scores, [*names, BASELINE])


def _described(what: str, ranking: Ranking) -> list[str]:
    told = [f"Mean rank of {what} (1 is best; {BASELINE} is the baseline):"]
    told += [
        f"  {mean:.2f}  {name}"
        for name, mean in zip(ranking.contenders, ranking.mean_ranks, strict=True)
    ]
    if ranking.p_all_alike is not None:
        told.append(f"All alike (Friedman, Iman and Davenport): p {ranking.p_all_alike:.2g}.")
    apart = [pair for pair in ranking.pairs if pair.p_holm <= LEVEL]
    for pair in apart:
        better, worse, wins = pair.one, pair.other, pair.wins
        if pair.wins < pair.losses:
            better, worse, wins = pair.other, pair.one, pair.losses
        told.append(
            f"{better} is above {worse} on {wins} of {ranking.datasets} data sets (signed ranks, "
            f"Holm: p {pair.p_holm:.2g})."
        )
    rest = len(ranking.pairs) - len(apart)
    if rest:
        pairs = "No two" if not apart else f"The other {rest} pairs"
        told.append(f"{pairs} can be told apart.")
    if ranking.datasets < ranking.datasets_needed:
        told.append(
            f"{ranking.datasets} data sets cannot do it: one that wins on every single one has "
            f"p {ranking.least_p:.2g} before the correction for {len(ranking.pairs)} pairs; it "
            f"takes {ranking.datasets_needed}."
        )
    return told
