import json
import struct

import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record

from ctrbench.trackers import load
from tests.trackers.made import CELL, TABLE

BLOCK, HEADER = 32_768, 7  # bytes of the log format of LevelDB


def _records(path):
    """Yield the records of a file of Weights & Biases."""
    content, at, parts = path.read_bytes(), HEADER, b""
    assert content.startswith(b":W&B")
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a whole record, or its last part
            yield Record.FromString(parts)
            parts = b""


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


def test_offline_runs_are_read_back(tmp_path, offline):
    tracker = load("wandb", tmp_path, "shop/v1")
    tracker.start()
    assert not tracker.has("abc123")
    for run in (CELL, TABLE):
        tracker.log(run)
        assert tracker.has(run.key)
    assert not tracker.has("123")
    wandb.teardown()  # waits until the files are complete
    cell, table = (
        list(_records(next(tmp_path.glob(f"wandb/offline-run-*-{key}/*.wandb"))))
        for key in ("abc123", "table-1")
    )
    (run,) = (one.run for one in cell if one.WhichOneof("record_type") == "run")
    assert (run.run_id, run.project, run.display_name) == ("abc123", "shop_v1", CELL.name)
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert CELL.settings.items() <= config.items()
    points = [
        {
            item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json)
            for item in one.history.item
        }
        for one in cell
        if one.WhichOneof("record_type") == "history"
    ]
    shown = [{k: v for k, v in one.items() if not k.startswith("_")} for one in points]
    assert shown == [
        {"impressions": 512, "curve/loss": 0.75},
        {"impressions": 1024, "curve/loss": 0.5, "curve/auc": 0.625},
    ]
    summary = {
        item.key or item.nested_key[0]: json.loads(item.value_json)
        for one in cell
        if one.WhichOneof("record_type") == "summary"
        for item in one.summary.update
    }
    assert CELL.metrics.items() <= summary.items()
    (artifact,) = (one.artifact for one in table if one.WhichOneof("record_type") == "artifact")
    assert (artifact.name, artifact.type) == ("table-1", "table")
    assert {entry.path for entry in artifact.manifest.contents} == set(TABLE.files)
