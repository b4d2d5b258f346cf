"""Versions of codes in a benchmark: what reaches the model, and which combinations exist."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrbench import embeddings, impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.errors import ConfigError
from ctrbench.runner.cell import run_cell
from ctrbench.runner.memory import expected_memory
from ctrbench.runner.preparation import prepare
from ctrbench.schema import Cell
from ctrbench.starting_file import Choice, starting_file
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix

K = 8
MODES = """\
modes:
  vector: {width: 4}
  cluster_id: {codebook_size: [8, 20], width: 4}
  residual_id: {width: 4, codebook_size: 8}
"""
MIXED = SMALL.replace(SMALL[SMALL.index("modes") : SMALL.index("seeds")], MODES)


def _add(workspace, version: str, codes: np.ndarray, items: np.ndarray) -> None:
    """Add (n, L) codes of n items."""
    raw_ids = impressions.raw_item_ids(workspace, "taste")
    path = workspace.home / f"{version}.parquet"
    columns = {f"c{level}": own for level, own in enumerate(codes.T)}
    pq.write_table(pa.table({"item_id": [raw_ids[item - 1] for item in items], **columns}), path)
    log = impressions.open_impressions(workspace, "taste")
    source = embeddings.Source(path, codes=True)
    embeddings.add_version(workspace, log, raw_ids, version, source)


def _keep(workspace, *versions: str) -> None:
    for name in {*embeddings.names(workspace, "taste")} - {*versions}:
        embeddings.remove_version(workspace, "taste", name)


def _predictions(workspace, cell: Cell) -> np.ndarray:
    run_cell(workspace, cell, (), {}, lambda share: None)
    found = Store(workspace).predictions(cell, "test")
    assert found is not None
    return found


def _fitted(workspace) -> tuple[Cell, np.ndarray, np.ndarray]:
    """Return the cell of `cluster_id` on vectors, the items with a vector and their codes."""
    made = matrix(workspace, SMALL.replace("[oracle, random]", "[oracle]"))
    cell = made.cell(made.rows[0], made.columns[2], 0)
    slots = HistorySlots(impressions.open_impressions(workspace, "taste"), 10)
    rows = prepare(workspace, cell, made.columns[2].settings, slots).item["code"][:, 0]
    items = np.flatnonzero(rows)
    codes = rows[items] - 1
    assert len(np.unique(codes)) == K
    return cell, items, codes


def _with_codes(workspace, version: str) -> Cell:
    text = SMALL.replace("[oracle, random]", f"[{version}]").replace("codebook_size: 8, ", "")
    kept = "\n".join(line for line in text.splitlines() if "vector:" not in line)
    made = matrix(workspace, kept.replace("  sim_score: {}\n", ""))
    return made.cell(made.rows[0], made.columns[0], 0)


@pytest.fixture
def codes_of_centres(workspace):
    cell, items, codes = _fitted(workspace)
    _add(workspace, "given", codes[:, None], items)
    return cell, items, codes


def test_codes_of_the_nearest_centres_give_the_predictions_of_cluster_id(
    workspace, codes_of_centres
):
    ours = _predictions(workspace, codes_of_centres[0])
    given = _with_codes(workspace, "given")
    assert given.mode_settings == {"width": 4}
    np.testing.assert_array_equal(ours, _predictions(workspace, given))


def test_codes_reach_the_model(workspace, codes_of_centres):
    _, items, codes = codes_of_centres
    _add(workspace, "permuted", np.random.default_rng(0).permutation(codes)[:, None], items)
    _add(workspace, "renamed", 100 + 7 * codes[:, None], items)
    given = _predictions(workspace, _with_codes(workspace, "given"))
    assert (given != _predictions(workspace, _with_codes(workspace, "permuted"))).mean() > 0.5
    np.testing.assert_array_equal(given, _predictions(workspace, _with_codes(workspace, "renamed")))


def test_levels_have_their_own_rows_of_the_table(workspace):
    codes = np.column_stack([np.arange(60) % 3, np.arange(60) % 5, np.arange(60) % 2])
    _add(workspace, "rq", codes, np.arange(1, 61))
    _keep(workspace, "oracle", "rq")
    made = matrix(workspace, MIXED.replace("[oracle, random]", "all"))
    row = next(row for row in made.rows if row.version == "rq")
    (column,) = [column for column in made.columns if made.exists(row, column)]
    slots = HistorySlots(impressions.open_impressions(workspace, "taste"), 10)
    cell = made.cell(row, column, 0)
    prepared = prepare(workspace, cell, column.settings, slots)
    assert prepared.item["code"][0].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(prepared.item["code"][1:], 1 + codes + [0, 3, 8])
    assert column.settings.layers(prepared)["code_embedding"].weight.shape == (1 + 10, 4)
    assert column.settings.learned_on_codes((3, 5, 2)) == 11 * 4
    assert prepared.facts["codes_used_2"] == 1.0
    assert expected_memory(workspace, cell).total > 0
    assert (_predictions(workspace, cell) > 0).all()


def test_versions_all_leaves_impossible_combinations_out(workspace):
    everything = np.arange(1, 61)
    _add(workspace, "one", (everything % 4)[:, None], everything)
    _add(workspace, "three", np.column_stack([everything % 4] * 3), everything)
    _keep(workspace, "oracle", "one", "three")
    made = matrix(workspace, MIXED.replace("[oracle, random]", "all"))
    exists = {(row.version, column.label) for row, column in made.places()}
    labels = [column.label for column in made.columns]
    assert {label for version, label in exists if version == "oracle"} == {*labels}
    assert {label for version, label in exists if version == "one"} == {labels[1]}
    assert {label for version, label in exists if version == "three"} == {"residual_id"}
    cells = list(made.cells())
    assert len(cells) == len({cell.hash for cell in cells}) == 1 + 4 + 1 + 1
    only = MIXED.replace("[oracle, random]", "all").replace(
        MODES, "modes: {vector: {}, cluster_id: {codebook_size: 8}}\n"
    )
    assert [row.version for row in matrix(workspace, only).rows] == ["one", "oracle"]


def test_named_versions_with_a_mode_that_requires_vectors_are_a_mistake(workspace):
    everything = np.arange(1, 61)
    _add(workspace, "one", (everything % 4)[:, None], everything)
    with pytest.raises(ConfigError) as error:
        matrix(workspace, MIXED.replace("[oracle, random]", "[oracle, one]"))
    assert "modes.vector on version 'one': requires vectors" in str(error.value)
    assert "residual_id on version 'one': requires at least 2 codes" in str(error.value)
    assert "cluster_id" not in str(error.value)
    with pytest.raises(ConfigError, match="sim_score: requires vectors"):
        matrix(
            workspace,
            MIXED.replace("[oracle, random]", "one").replace(
                MODES, "modes: {cluster_id+sim_score: {}}\n"
            ),
        )


def test_a_mode_without_any_version_is_a_mistake(workspace):
    _add(workspace, "one", np.ones((60, 1), int), np.arange(1, 61))
    _keep(workspace, "one")
    with pytest.raises(ConfigError, match=r"modes.vector on version 'one': .* remove the mode"):
        matrix(workspace, MIXED.replace("[oracle, random]", "all"))


def test_a_version_may_hold_vectors_and_codes(workspace):
    """A combination reads vectors of one field and codes of another."""
    rng, everything = np.random.default_rng(0), np.arange(1, 61)
    _add(workspace, "both", rng.integers(0, 5, (60, 1)), everything)
    raw_ids = impressions.raw_item_ids(workspace, "taste")
    np.savez(workspace.home / "v.npz", key=raw_ids, value=rng.normal(size=(60, 3)))
    log = impressions.open_impressions(workspace, "taste")
    source = {"image": embeddings.Source(workspace.home / "v.npz")}
    with pytest.raises(ConfigError, match="exists with other content"):
        embeddings.add_version(workspace, log, raw_ids, "both", source)
    embeddings.add_version(workspace, log, raw_ids, "both", {"text": source["image"]})
    modes = """\
modes:
  cluster_id: {codebook_size: [4, 6]}
  sim_score: {field: text}
  cluster_id+sim_score: {cluster_id.codebook_size: 4, sim_score.field: text}
"""
    text = MIXED.replace("[oracle, random]", "both").replace(MODES, modes)
    made = matrix(workspace, text.replace("controls: none", "controls: [shuffled, random]"))
    assert [column.label for _, column in made.places()] == 3 * [
        "cluster_id codebook_size=4",
        "sim_score",
        "cluster_id+sim_score",
    ]
    cells = [made.cell(*place, 0) for place in made.places()]
    assert cells[2].mode_settings == {"sim_score.field": "text"}
    given = [_predictions(workspace, cell) for cell in cells[2::3]]
    assert all((one != other).any() for one, other in pairwise(given))
    with pytest.raises(ConfigError, match="sim_score on version 'both': requires vectors"):
        matrix(
            workspace,
            MIXED.replace("[oracle, random]", "both").replace(MODES, "modes: sim_score\n"),
        )


def test_a_starting_file_names_only_modes_that_can_run(workspace):
    everything = np.arange(1, 61)
    _add(workspace, "one", (everything % 4)[:, None], everything)
    _keep(workspace, "one", "oracle")
    only = matrix(workspace, starting_file(workspace, Choice("taste", versions="one")))
    assert [column.label for column in only.columns] == ["cluster_id"]
    mixed = matrix(workspace, starting_file(workspace, Choice("taste", modes="vector,cluster_id")))
    assert {row.version for row in mixed.rows} == {"one", "oracle"}
    assert "vector" in {column.mode for column in mixed.columns}
