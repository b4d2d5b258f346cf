"""Modes on versions with several vector fields."""

import numpy as np
import pytest

from ctrbench import embeddings, impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.embeddings import Source
from ctrbench.errors import ConfigError
from ctrbench.injection import load_mode
from ctrbench.runner.cell import run_cell
from ctrbench.runner.memory import expected_memory
from ctrbench.runner.preparation import prepare
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix

START, END = SMALL.index("modes:"), SMALL.index("seeds:")


def text_of(versions: str, modes: str, controls: str = "none") -> str:
    text = SMALL[:START] + f"modes: {modes}\n" + SMALL[END:]
    return text.replace("[oracle, random]", versions).replace(
        "controls: none", f"controls: {controls}"
    )


@pytest.fixture
def add_field(workspace, tmp_path):
    """Add the vectors of an existing version as one field of another."""

    def add(version, field, like, leave_out=0):
        log = impressions.open_impressions(workspace, "taste")
        raw_ids = impressions.raw_item_ids(workspace, "taste")
        table = embeddings.open_version(workspace, "taste", like)
        items = np.flatnonzero(table.has_vector)[leave_out:]
        path = tmp_path / f"{version}-{field}.npz"
        np.savez(path, key=np.array(raw_ids)[items - 1], value=table.vectors[items])
        return embeddings.add_version(workspace, log, raw_ids, version, {field: Source(path)})[0]

    return add


@pytest.fixture
def both(add_field):
    """Return the manifest of `both`: its field image is like `random`, its field text `oracle`."""
    add_field("both", "image", "random")
    return add_field("both", "text", "oracle")


def train(workspace, cell):
    record = run_cell(workspace, cell, (), {}, lambda share: None)
    assert record is not None
    assert record.status == "done", record.reason
    return record


def predicted(workspace, versions, modes, controls="none"):
    """Train the cells with a version; return their predictions of the test period by row."""
    found = matrix(workspace, text_of(versions, modes, controls))
    predictions = {}
    for cell in found.cells():
        if cell.version is not None:
            train(workspace, cell)
            predictions[cell.version_label] = Store(workspace).predictions(cell, "test")
    return predictions


def test_predictions_are_those_of_a_version_with_the_vectors_of_the_field(workspace, both):
    control = "[shuffled]"
    alone = predicted(workspace, "[oracle, random]", "{vector: {width: 4}}", control)
    text = predicted(workspace, "both", "{vector: {width: 4, field: text}}", control)
    first = predicted(workspace, "both", "{vector: {width: 4}}", control)
    for row in ("", "@shuffled"):
        assert np.array_equal(text[f"both{row}"], alone[f"oracle{row}"])
        assert np.array_equal(first[f"both{row}"], alone[f"random{row}"])
    assert not np.array_equal(text["both"], first["both"])


def test_parts_of_a_combination_read_their_own_fields(workspace, both):
    settings = "vector.field: {}, sim_score.field: {}"
    made = {
        fields: predicted(
            workspace, "both", f"{{vector+sim_score: {{{settings.format(*fields)}}}}}"
        )
        for fields in (("text", "image"), ("image", "text"), ("text", "text"))
    }
    alone = predicted(workspace, "oracle", "{vector+sim_score: {}}")
    assert np.array_equal(made["text", "text"]["both"], alone["oracle"])
    assert not np.array_equal(made["text", "image"]["both"], made["image", "text"]["both"])
    assert not np.array_equal(made["text", "image"]["both"], made["text", "text"]["both"])


def test_combination_prepares_each_part_on_its_field(workspace, both):
    modes = "{vector+sim_score: {vector.field: text, sim_score.field: image}}"
    found = matrix(workspace, text_of("both", modes))
    cell = found.cell(found.rows[0], found.columns[0], 0)
    slots = HistorySlots(impressions.open_impressions(workspace, "taste"), 10)
    whole = prepare(workspace, cell, load_mode(cell.mode, cell.mode_settings), slots)
    for name, field in (("vector", "text"), ("sim_score", "image")):
        mode = load_mode(name, {"field": field})
        update = {"mode": name, "mode_settings": {"field": field}}
        alone = prepare(workspace, cell.model_copy(update=update), mode, slots)
        for kind in ("item", "slot"):
            for key, values in getattr(alone, kind).items():
                np.testing.assert_array_equal(getattr(whole, kind)[f"{name}.{key}"], values)
    width = 4 * slots.impressions.item_rows * both.width
    assert expected_memory(workspace, cell).total >= 2 * width


def test_new_field_keeps_the_identity_of_stored_cells(workspace, add_field):
    add_field("both", "image", "random")
    text = text_of("both", "{vector: {width: 4}}", "[shuffled]")
    before = [cell.hash for cell in matrix(workspace, text).cells()]
    add_field("both", "text", "oracle")
    assert [cell.hash for cell in matrix(workspace, text).cells()] == before


def test_naming_the_first_field_gives_the_same_cells(workspace, both):
    for modes in (
        ("{vector: {width: 4}}", "{vector: {width: 4, field: image}}"),
        (
            "{vector+sim_score: {sim_score.field: text}}",
            "{vector+sim_score: {vector.field: image, sim_score.field: text}}",
        ),
    ):
        unnamed, named = (
            [cell.hash for cell in matrix(workspace, text_of("both", one)).cells()] for one in modes
        )
        assert named == unnamed
    other = "{vector: {width: 4, field: text}}"
    cells = matrix(workspace, text_of("both", other)).cells()
    assert [cell.mode_settings for cell in cells if cell.version] == [{"width": 4, "field": "text"}]


def test_columns_with_the_same_cells_have_them_once(workspace, both):
    modes = "{vector: {field: [null, text, image]}}"
    found = matrix(workspace, text_of("both", modes))
    assert [column.label for _, column in found.places()] == [
        "vector field=None",
        "vector field=text",
    ]
    cells = [cell.hash for cell in found.cells()]
    assert len(cells) == len(set(cells)) == 3


def test_vectors_hash_is_that_of_the_fields_that_the_mode_reads(workspace, both):
    modes = "{vector: {field: [image, text]}, vector+sim_score: {sim_score.field: text}}"
    found = matrix(workspace, text_of("both", modes))
    hashes = [found.cell(found.rows[0], column, 0).vectors_hash for column in found.columns]
    oracle, random = (
        embeddings.read_manifest(workspace, "taste", name).content_hash
        for name in ("oracle", "random")
    )
    assert hashes[:2] == [random, oracle]
    assert hashes[2] == both.hash_of(["image", "text"]) not in (random, oracle)
    assert [column.label for column in found.columns][:2] == [
        "vector field=image",
        "vector field=text",
    ]


def test_unknown_field_is_an_error_of_the_file(workspace, both):
    modes = "{vector: {field: txt}, vector+sim_score: {sim_score.field: text}}"
    with pytest.raises(ConfigError) as raised:
        matrix(workspace, text_of("[both, oracle]", modes))
    message = str(raised.value)
    assert "has 3 mistake(s)" in message
    assert "'txt'; known: image, text. Did you mean 'text'" in message
    assert message.count("embedding version") == 0
    assert message.count("version 'oracle'") == 2


def test_fields_of_different_coverage(workspace, add_field):
    add_field("part", "image", "random", leave_out=20)
    add_field("part", "text", "oracle")
    modes = "{vector+sim_score: {sim_score.field: text}}"
    found = matrix(workspace, text_of("part", modes, "[shuffled]"))
    cell = found.cell(found.rows[1], found.columns[0], 0)
    assert cell.control is not None
    record = train(workspace, cell)
    table = embeddings.open_version(workspace, "taste", "part:image")
    assert record.facts["coverage_items"] == pytest.approx(table.has_vector[1:].mean())
