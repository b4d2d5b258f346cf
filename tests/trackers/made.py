"""Runs that several tests of trackers share."""

from ctrbench.schema import CurvePoint
from ctrbench.trackers import TrackedRun

CELL = TrackedRun(
    key="abc123",
    name="shop / v7 / sim_score / seed 0",
    settings={"training.batch_size": 256, "mode": "sim_score", "model.attention": "[8, 4]"},
    metrics={"test/gauc": 0.625, "slice/genres=Drama/ndcg@5": 0.5},
    curve=(
        CurvePoint(impressions=512, loss=0.75, auc=None),
        CurvePoint(impressions=1024, loss=0.5, auc=0.625),
    ),
)
TABLE = TrackedRun(
    key="table-1",
    name="table of shop",
    settings={"dataset": "shop"},
    files={"table.md": "| a |\n| --- |\n| +0.5 |\n", "table.json": '{"rows": []}'},
)
