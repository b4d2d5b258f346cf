from dataclasses import replace

import pytest

from ctrbench.analysis import ranking
from ctrbench.analysis.ranking import rankings
from ctrbench.errors import ConfigError, DataError
from ctrbench.terminal.rankings import describe_rankings
from tests.benchmark import matrix


@pytest.fixture
def describe(workspace, monkeypatch):
    """Return a function that ranks made-up deltas, one dict per data set."""

    def go(*deltas):
        small = matrix(workspace)
        names = [f"log {n}" for n in range(len(deltas))]
        matrices = [
            replace(small, dataset=small.dataset.model_copy(update={"name": name}))
            for name in names
        ]
        by_name = dict(zip(names, deltas, strict=True))
        monkeypatch.setattr(ranking, "_deltas", lambda _, m, r: by_name[m.dataset.name])
        return describe_rankings(rankings(workspace, [(made, {}) for made in matrices]))

    return go


def _deltas(vector: float, cluster_id: float):
    return {("v1", "vector"): vector, ("v1", "cluster_id"): cluster_id}


def test_few_data_sets_are_not_significant(describe):
    text = describe(_deltas(0.2, -0.1), _deltas(0.3, -0.2))
    assert "GAUC deltas on 2 data sets: log 0, log 1. The ranks use the 2 pairs" in text
    modes, versions = text.split("Mean rank of versions")
    assert modes.index("1.00  vector") < modes.index("2.00  none") < modes.index("3.00  cluster_id")
    assert "No two differ significantly." in modes
    assert "2 data sets are too few: a contender that wins on all of them has p 0.5" in modes
    assert "1.50" not in versions


def test_many_data_sets_are_significant(describe):
    text = describe(*(_deltas(0.2 + n / 100, -0.1 - n / 100) for n in range(9)))
    assert "vector is above cluster_id on 9 of 9 data sets (signed ranks, Holm: p 0.012)." in text
    assert "none is above cluster_id on 9 of 9" in text
    assert "are too few" not in text.split("Mean rank of versions")[0]


def test_only_common_pairs_are_ranked(describe):
    more = {**_deltas(0.2, 0.1), ("v2", "vector"): 9.0}
    assert "use the 2 pairs of version and mode" in describe(more, _deltas(0.1, 0.2))
    with pytest.raises(DataError, match="no version and mode has finished cells on all of log 0"):
        describe({("v1", "vector"): 1.0}, {("v2", "vector"): 1.0})


def test_one_data_set_twice(workspace):
    small = matrix(workspace)
    with pytest.raises(ConfigError, match="2 files name data set taste"):
        rankings(workspace, [(small, {}), (small, {})])


def test_nothing_trained(workspace):
    small = matrix(workspace)
    other = replace(small, dataset=small.dataset.model_copy(update={"name": "other"}))
    with pytest.raises(DataError, match="has finished cells on all of taste, other"):
        rankings(workspace, [(small, {}), (other, {})])
