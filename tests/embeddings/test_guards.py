import numpy as np
import pytest

from ctrbench import embeddings
from ctrbench.embeddings import Coverage, Fitting

ROWS = {"7": [1, 0.5], "12": [-1, 2], "a": [0.5, -2]}


@pytest.fixture
def outcomes(workspace, dataset):
    """Return {guard: result} of a version, errors and warnings only."""

    def check(version, items_hash="i", fit=range(7), targets=9):
        table = embeddings.open_version(workspace, "tiny", version)
        manifest = embeddings.read_manifest(workspace, "tiny", version)
        context = embeddings.Context(
            dataset.model_copy(update={"items_hash": items_hash}),
            Fitting("pretrain", np.isin(np.arange(7), fit)),
            [Coverage("test", 10, targets, 0, 0)],
        )
        guards = embeddings.check_version(
            manifest, table, embeddings.describe_vectors(table), context
        )
        return {guard.name: guard.outcome for guard in guards if guard.outcome != "ok"}

    return check


def _rewrite(workspace, version, file, change):
    path = workspace.embeddings / "tiny" / version / file
    array = np.load(path)
    change(array)
    np.save(path, array)


def test_sound_version(add, outcomes):
    add("raw", ROWS)
    assert outcomes("raw") == {}


def test_other_items(add, outcomes):
    add("raw", ROWS)
    assert outcomes("raw", items_hash="j") == {"items": "error"}


def test_changed_files(add, workspace, outcomes):
    add("raw", ROWS)
    _rewrite(workspace, "raw", "vectors.npy", lambda vectors: vectors.__setitem__((1, 0), np.nan))
    assert outcomes("raw") == {"content": "error", "finite": "error"}


def test_row_of_an_absent_item(add, workspace, outcomes):
    add("raw", ROWS)
    _rewrite(workspace, "raw", "vectors.npy", lambda vectors: vectors.__setitem__((0, 0), 1))
    assert outcomes("raw") == {"content": "error", "absent rows": "error"}


def test_derived_before_the_split_changed(add, workspace, dataset, outcomes):
    add("raw", ROWS)
    fitting = Fitting("pretrain", np.ones(7, bool))
    embeddings.derive_version(workspace, dataset, "raw", "centred", ("center", {}), fitting)
    assert outcomes("centred") == {}
    assert outcomes("centred", fit=[1, 2]) == {"fitted on": "error"}


def test_zero_vectors_of_the_file(add, outcomes):
    add("zero", {**ROWS, "99": [0, 0]})
    assert outcomes("zero") == {"zero vectors": "warning"}


def test_zero_vectors_of_an_older_version(add, workspace, outcomes):
    add("old", ROWS)
    _rewrite(workspace, "old", "vectors.npy", lambda vectors: vectors.__setitem__(1, 0))
    assert outcomes("old") == {"content": "error", "zero vectors": "warning"}


def test_a_test_period_without_vectors(add, outcomes):
    add("raw", ROWS)
    assert outcomes("raw", targets=0) == {"coverage, test": "error"}


def test_warnings(add, outcomes):
    add("same", {raw: [1, 2] for raw in ROWS})
    expected = {"one vector for many": "warning", "common direction": "warning"}
    assert outcomes("same") == expected
    assert outcomes("same", targets=4) == {**expected, "coverage, test": "warning"}
