"""Traces of models and worlds with a known answer."""

import numpy as np
import pytest
import torch

from ctrbench.matrix import read_matrix
from ctrbench.runner.cell import run_cell
from ctrbench.runner.parts import build as build_parts
from ctrbench.runner.run import missing_cells
from ctrbench.runner.tracing import Recorder, blocks
from ctrbench.schema import CurvePoint
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix, write
from tests.test_contracts import ROWS, build

QUIET = lambda share: None  # noqa: E731


def cell_of(workspace, mode="vector"):
    found = matrix(workspace)
    columns = {column.mode: column for column in found.columns}
    return found.cell(found.rows[0] if mode != "none" else None, columns.get(mode), 0)


@pytest.fixture
def traced(workspace):
    cell = cell_of(workspace)
    record = run_cell(workspace, cell, (), {}, QUIET, traced=True)
    return record, Store(workspace).read_trace(cell)


def test_every_parameter_belongs_to_one_part(slots):
    model, _ = build("vector", slots)
    found = blocks(model)
    assert set(found) == {"ids", "image", "attention", "mlp"}
    held = [id(parameter) for own in found.values() for parameter in own]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in model.parameters() if p.numel()}
    assert {id(p) for p in found["image"]} == {id(p) for p in model.image_parameters()}
    baseline, _ = build("none", slots)
    assert set(blocks(baseline)) == {"ids", "attention", "mlp"}


def test_recorder_measures_gradients_and_distances(workspace):
    parts = build_parts(workspace, cell_of(workspace))
    recorder = Recorder(parts)
    before = [p.detach().clone() for p in blocks(parts.model)["image"]]
    rows = np.arange(50) + parts.slots.first_row
    parts.model(parts.packer.pack(rows, None)).sum().backward()
    with torch.no_grad():
        for parameter in parts.model.image_parameters():
            parameter += 0.5
    recorder(CurvePoint(impressions=50, loss=0.7, auc=None))
    (point,) = recorder.points
    image, ids = point.blocks["image"], point.blocks["ids"]
    count = sum(p.numel() for p in parts.model.image_parameters())
    assert image.update == pytest.approx(0.5 * count**0.5, rel=1e-4)
    assert image.weight == pytest.approx(sum(float(p.square().sum()) for p in before) ** 0.5)
    gradients = [p.grad for p in parts.model.image_parameters()]
    assert image.gradient == pytest.approx(sum(float(g.square().sum()) for g in gradients) ** 0.5)
    assert ids.update == 0
    assert ids.gradient > 0


def test_tracing_does_not_change_the_result(workspace, traced):
    record, trace = traced
    assert record.status == "done", record.reason
    assert [point.impressions for point in trace.points] == [p.impressions for p in record.curve]
    assert [point.loss for point in trace.points] == [p.loss for p in record.curve]
    Store(workspace).path(record.cell).unlink()
    again = run_cell(workspace, record.cell, (), {}, QUIET)
    assert again.metrics == record.metrics


def test_stored_cell_is_traced_without_touching_its_record(workspace):
    cell, store = cell_of(workspace), Store(workspace)
    record = run_cell(workspace, cell, (), {}, QUIET)
    assert missing_cells(workspace, [cell]) == []
    assert missing_cells(workspace, [cell], traced=True) == [cell]
    before = store.path(cell).read_bytes()
    assert run_cell(workspace, cell, (), {}, QUIET, traced=True) == record
    assert store.path(cell).read_bytes() == before
    assert store.read_trace(cell) is not None
    assert missing_cells(workspace, [cell], traced=True) == []
    assert list(store.records("taste")) == [record]  # a trace is not a record


def test_baseline_has_no_images_to_permute(workspace):
    cell = cell_of(workspace, "none")
    run_cell(workspace, cell, (), {}, QUIET, traced=True)
    assert set(Store(workspace).read_trace(cell).permuted) == {"item_id"}


def test_permuted_ids_are_other_items_of_the_training_period(slots):
    _, packer = build("none", slots)
    batch = packer.pack(ROWS, None)
    other = packer.with_permuted_ids(np.random.default_rng(0)).pack(ROWS, None)
    assert torch.equal(batch.target, other.target)
    assert torch.equal(batch.item_id == 0, other.item_id == 0)
    assert not torch.equal(batch.item_id, other.item_id)
    assert torch.equal(batch.item_numbers, other.item_numbers)
    again = packer.pack(ROWS, None)
    assert torch.equal(batch.item_id, again.item_id)  # the first packer is unchanged


@pytest.mark.parametrize("name", ["vector", "sim_score"])
def test_permuted_images_change_only_images(name, slots):
    _, packer = build(name, slots)
    has = np.ones(slots.impressions.item_rows, bool)
    has[0] = False
    rows = np.arange(slots.impressions.rows("test").start, len(slots.impressions.item_id))
    batch = packer.pack(rows, None)
    other = packer.with_permuted_images(np.random.default_rng(0), has).pack(rows, None)
    assert torch.equal(batch.item_id, other.item_id)
    for kind in ("image_item", "image_slot"):
        for key, values in getattr(batch, kind).items():
            moved = getattr(other, kind)[key]
            assert not torch.equal(values, moved), key
            if kind == "image_slot":  # every value is still there
                assert torch.equal(values.sort().values, moved.sort().values)


def test_informative_images_and_ids_are_used(workspace):
    """The oracle's similarities in a world of strong taste; equal vectors are uninformative.

    Random vectors are informative there: a similarity of 1 identifies an item clicked before.
    """
    text = SMALL.replace("batch_size: 256", "batch_size: 64, learning_rate: 0.01")
    text = text.replace("[oracle, random]", "[oracle, constant]").replace(
        "  cluster_id: {codebook_size: 8, width: 4}\n", ""
    )
    found = read_matrix(write(workspace.home, text), workspace)
    columns = {column.mode: column for column in found.columns}
    lost = {}
    for row in found.rows:
        cell = found.cell(row, columns["sim_score"], 0)
        run_cell(workspace, cell, (), {}, QUIET, traced=True)
        lost[row.label] = Store(workspace).read_trace(cell).permuted["image"]["gauc"]
    assert lost["oracle"] > 0.02
    assert abs(lost["constant"]) < lost["oracle"] / 3  # equal vectors: only missing ones change


def test_slots_of_earlier_periods_keep_their_values(slots):
    _, packer = build("sim_score", slots)
    has = np.ones(slots.impressions.item_rows, bool)
    other = packer.with_permuted_images(np.random.default_rng(0), has)
    batch, moved = (one.pack(ROWS, None) for one in (packer, other))
    assert torch.equal(batch.image_slot["score"], moved.image_slot["score"])
