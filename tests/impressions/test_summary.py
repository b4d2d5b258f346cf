import numpy as np
import pytest

from ctrbench.impressions import items_in_period, open_impressions, periods, summarise
from ctrbench.schema import Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log


def test_summary_of_a_log_counted_by_hand(tmp_path):
    items = [{"item_id": str(i), "tags": ["x"] * (i % 2), "year": None} for i in range(7)]
    fields = (
        Field(name="tags", of="item", kind="list"),
        Field(name="year", of="item", kind="numeric"),
    )
    build_log(Workspace(tmp_path), long_log(), tables={"items": items}, fields=fields)
    summary = summarise(open_impressions(Workspace(tmp_path), "log"))
    test = summary.periods[-1]
    assert (test.name, test.impressions, test.clicks, test.users) == ("test", 12, 6, 6)
    assert (test.evaluable_users, test.items, test.first, test.last) == (6, 7, 48, 59)
    assert test.ctr == summary.ctr == 0.5
    # a user's lengths are 0 0 1 1 2 2 3 3 4 4
    assert summary.history_quantiles == {0.1: 0, 0.5: 2, 0.9: 4, 1.0: 4}
    assert summary.empty_history_share == 0.2
    assert summary.filled == {"tags": 3 / 7, "year": 0}


def test_ctr_counts_impressions_by_their_weights(tmp_path, monkeypatch):
    rows = [r | {"weight": 1.0 if r["click"] else 10.0 + r["timestamp"]} for r in long_log()]
    build_log(Workspace(tmp_path), rows)
    monkeypatch.setattr(periods, "CHUNK", 7)
    summary = summarise(open_impressions(Workspace(tmp_path), "log"))
    assert summary.ctr == pytest.approx(30 / sum(r["weight"] for r in rows))
    test = [r["weight"] for r in rows if r["timestamp"] >= 48]
    assert summary.periods[-1].ctr == pytest.approx(6 / sum(test))


def test_items_of_a_period_are_its_targets(tmp_path):
    build_log(Workspace(tmp_path), long_log(users=2, length=20))
    log = open_impressions(Workspace(tmp_path), "log")
    for period in log.manifest.periods:
        wanted = np.unique(log.item_id[log.rows(period)])
        assert items_in_period(log, period).nonzero()[0].tolist() == wanted.tolist()


def test_given_histories_add_their_items(tmp_path):
    lists = [["90"], ["91", "92"], [], ["93"]]
    rows = [r | {"history": lists[r["timestamp"] // 18], "item_id": "1"} for r in long_log()]
    build_log(Workspace(tmp_path), rows, "time:30/30/20/20")
    log = open_impressions(Workspace(tmp_path), "log")
    # ids 1, 90, 91, 92, 93 are 1 to 5; pretrain ends at 18, train at 36, valid at 48
    assert items_in_period(log, "pretrain").nonzero()[0].tolist() == [1, 2]
    assert items_in_period(log, "train").nonzero()[0].tolist() == [1, 3, 4]
    assert items_in_period(log, "valid").nonzero()[0].tolist() == [1]
    assert items_in_period(log, "test").nonzero()[0].tolist() == [1, 5]
