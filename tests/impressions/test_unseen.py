"""Values that occur only in later periods, against a count in plain Python."""

import numpy as np
import pytest

from ctrbench.impressions import open_impressions, periods, vocabulary
from ctrbench.impressions.unseen import unseen_values
from ctrbench.schema import Field
from ctrbench.workspace import Workspace
from tests.impressions.logs import build_log, row

FIELDS = (
    Field(name="colour", of="item", kind="categorical"),
    Field(name="tags", of="item", kind="list"),
    Field(name="city", of="user", kind="categorical"),
    Field(name="hour", of="context", kind="categorical"),
    Field(name="words", of="context", kind="list"),
    Field(name="price", of="item", kind="numeric"),
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def some(rng, values, most):
    return [str(value) for value in rng.integers(0, values, rng.integers(0, most))]


def test_counts_equal_a_loop(workspace, monkeypatch):
    rng = np.random.default_rng(3)
    items = [
        {"item_id": str(i), "colour": str(i // 3) if i % 4 else None, "tags": some(rng, 20, 4)}
        | {"price": 1.0}
        for i in range(40)
    ]
    users = [{"user_id": str(u), "city": str(u // 2)} for u in range(30)]
    rows = [
        row(
            rng.integers(0, 5 + time // 6),
            rng.integers(0, 5 + time // 4),
            int(time % 3 == 0),
            time,
            hour=str(time // 20) if time % 5 else "",
            words=some(rng, 60, 5),
        )
        for time in range(120)
    ]
    build_log(workspace, rows, tables={"items": items, "users": users}, fields=FIELDS)
    log = open_impressions(workspace, "log")
    monkeypatch.setattr(periods, "CHUNK", 7)
    found = unseen_values(log)
    assert set(found) == {"colour", "tags", "city", "hour", "words"}
    for field in FIELDS[:5]:
        values = {"user": users, "item": items, "context": rows}[field.of]
        held = [
            values[{"user": int(r["user_id"]), "item": int(r["item_id"])}.get(field.of, i)]
            for i, r in enumerate(rows)
        ]
        held = [one[field.name] or [] for one in held]
        held = [{one} if isinstance(one, str) else set(one) for one in held]
        train = set().union(*held[slice(*log.manifest.periods["train"])])
        later = [held[slice(*log.manifest.periods[period])] for period in ("valid", "test")]
        new = set().union(*later[0], *later[1]) - train
        shares = [np.mean([bool(one - train) for one in part]) for part in later]
        assert found[field.name].values == len(new) > 0
        assert new <= set(vocabulary(workspace, "log", field.name))
        assert [*found[field.name].shares.values()] == pytest.approx(shares)
