"""Padding values, and values that only look like padding."""

import pytest

from ctrbench.impressions import check, open_impressions, periods
from ctrbench.impressions.padding import Padding, find_padding
from ctrbench.schema import Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, long_log
from tests.impressions.test_history_guards import with_histories


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def guard(workspace, named):
    (found,) = [guard for guard in check(workspace, "log") if guard.name == named]
    return found


def padded(rows, fill, before=True, length=6):
    filled = [[fill] * (length - len(r["history"])) for r in rows]
    return [
        r | {"history": more + r["history"] if before else r["history"] + more}
        for r, more in zip(rows, filled, strict=True)
    ]


@pytest.mark.parametrize("before", [True, False])
def test_padding_of_histories_is_found(workspace, before):
    rows = with_histories(long_log(length=8), frozen=False)
    manifest = build_log(workspace, padded(rows, "00", before))
    found = guard(workspace, "padding")
    assert found.outcome == "warning"
    assert "00 begins or ends more than 90 % of the given histories" in found.message
    assert "--pad 00" in found.message
    assert any(finding.startswith("00 begins") for finding in manifest.findings)


def test_a_shown_and_rarely_repeated_item_is_not_padding(workspace):
    rows = with_histories(long_log(length=8), frozen=False)
    build_log(workspace, [r | {"history": ["0", *r["history"]]} for r in rows])
    assert find_padding(open_impressions(workspace, "log")) == []


def test_a_common_first_item_that_is_never_shown_is_padding(workspace):
    rows = with_histories(long_log(users=12, length=8), frozen=False)
    build_log(workspace, [r | {"history": ["-", *r["history"]]} for r in rows])
    assert "- begins" in guard(workspace, "padding").message


@pytest.mark.parametrize("of", ["item", "context"])
def test_padding_of_lists_is_found(workspace, monkeypatch, of):
    field = Field(name="tags", of=of, kind="list")
    lists = [["0"] * (4 - i % 4) + [str(k) for k in range(1, i % 4 + 1)] for i in range(60)]
    items = [{"item_id": str(i), "tags": lists[i]} for i in range(7)]
    rows = [r | ({"tags": lists[i]} if of == "context" else {}) for i, r in enumerate(long_log())]
    tables = {"items": items} if of == "item" else None
    build_log(workspace, rows, fields=(field,), tables=tables)
    monkeypatch.setattr(periods, "CHUNK", 7)
    assert find_padding(open_impressions(workspace, "log")) == [Padding("tags", 1)]
    assert guard(workspace, "padding").message.startswith(
        "0 begins or ends more than 90 % of the lists of 'tags'"
    )


def test_lists_with_equal_first_values(workspace):
    field = Field(name="tags", of="context", kind="list")
    build_log(workspace, [r | {"tags": ["a", r["item_id"]]} for r in long_log()], fields=(field,))
    assert find_padding(open_impressions(workspace, "log")) == []
