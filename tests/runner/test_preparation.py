import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.batches.slots import HistorySlots
from ctrbench.injection import Images, load_mode
from ctrbench.runner.preparation import prepare
from tests.benchmark import matrix

MODE = "sim_score+sim_tier"


def test_slot_values_stay_in_their_file(workspace):
    found = matrix(workspace)
    mode, slots = (
        load_mode(MODE, {}),
        HistorySlots(impressions.open_impressions(workspace, "taste"), 10),
    )
    cell = found.cell(found.rows[0], found.columns[0], 0)
    cell = cell.model_copy(update={"mode": MODE, "mode_settings": {}})
    kept = prepare(workspace, cell, mode, slots)
    table = embeddings.open_version(workspace, "taste", "oracle")
    made = mode.prepare(Images(table.vectors, table.has_vector, table.has_vector), slots, 0)
    assert {name: values.dtype for name, values in kept.slot.items()} == {
        "sim_score.score": np.float32,
        "sim_tier.tier": np.uint16,
    }
    for name, values in made.slot.items():
        np.testing.assert_array_equal(kept.slot[name], values)
        assert len(np.unique(values)) > 5
    (folder,) = (workspace.cache / "prepared" / "taste" / "oracle" / MODE).iterdir()
    assert sorted(file.name for file in folder.iterdir()) == [
        "checksums.json",
        "facts.json",
        "item.sim_score.has_vector.npy",
        "slot.sim_score.score.npy",
        "slot.sim_tier.tier.npy",
    ]
