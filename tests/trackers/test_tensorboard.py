from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ctrbench.trackers import load
from tests.trackers.made import CELL, TABLE


def test_runs_are_read_back(tmp_path):
    tracker = load("tensorboard", tmp_path, "shop")
    tracker.start()
    assert not tracker.has("abc123")
    for run in (CELL, TABLE):
        tracker.log(run)
        assert tracker.has(run.key)
    assert not tracker.has("123")
    cell, table = (
        EventAccumulator(str(tmp_path / "shop" / name)).Reload()
        for name in ("shop_v7_sim_score_seed_0-abc123", "table_of_shop-table-1")
    )
    assert [(e.step, e.value) for e in cell.Scalars("curve/loss")] == [(512, 0.75), (1024, 0.5)]
    assert [(e.step, e.value) for e in cell.Scalars("curve/auc")] == [(1024, 0.625)]
    assert [e.value for e in cell.Scalars("test/gauc")] == [0.625]
    assert [e.value for e in cell.Scalars("slice/genres=Drama/ndcg@5")] == [0.5]
    plugin = cell.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"training.batch_size" in plugin
    assert b"[8, 4]" in plugin
    texts = {
        tag: table.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for tag in table.Tags()["tensors"]
        if tag.endswith("text_summary")
    }
    assert texts == {
        "table.md/text_summary": TABLE.files["table.md"],
        "table.json/text_summary": '    {"rows": []}\n',
    }
