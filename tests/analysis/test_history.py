from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ctrbench.analysis.history import VersionHistory, history
from ctrbench.analysis.stored_versions import StoredVersions
from ctrbench.errors import DataError
from ctrbench.injection import load_mode
from ctrbench.plan import PROTOCOL
from ctrbench.printable import counted
from ctrbench.schema import Cell, CellRecord, Control, VersionManifest
from ctrbench.stats import Measured, infer, pair
from tests.analysis.made import SHUFFLED, manifest, metrics

USERS = 300
EFFECT = 0.001
LEVELS = {"v1": 0.001, "v2": 0.004, "v3": 0.002}
DAYS = {"v1": "2026-01-05", "v2": "2026-02-01", "v3": "2026-03-01"}


def version(name: str, created: str = "", **changes: Any) -> VersionManifest:
    values = {
        "name": name,
        "dataset": "films",
        "items_hash": "i0",
        "width": 4,
        "dtype": "float32",
        "items_with_vector": 300,
        "unmatched_ids": 0,
        "provenance": {},
        "content_hash": f"of {name}",
        "created": created or f"{DAYS[name]}T12:00:00+00:00",
        "ctrbench_version": "0.1.0",
    }
    return VersionManifest.model_validate({**values, **changes})


def record(
    name: str | None,
    mode: str,
    seed: int,
    level: float = 0.0,
    control: Control | None = None,
    status: str = "done",
    **changes: Any,
) -> CellRecord:
    values = {
        "dataset": "films",
        "data_hash": "d0",
        "version": name,
        "vectors_hash": name and f"of {name}",
        "control": control,
        "mode": mode,
        "mode_revision": 1,
        "mode_settings": {},
        "model": {},
        "training": {},
        "seed": seed,
        "protocol": PROTOCOL,
    }
    cell = Cell.model_validate({**values, **changes})
    noise = np.random.default_rng(int(cell.hash[:8], 16)).normal(0, 2e-4)
    return CellRecord(
        hash=cell.hash,
        cell=cell,
        status="done" if status == "done" else "failed",
        metrics={"test": metrics(0.6 + level + noise)} if status == "done" else {},
    )


def revision(mode: str) -> int:
    return load_mode(mode, {}).revision


def arm(
    name: str | None, mode: str = "vector", seeds: tuple[int, ...] = (0, 1, 2), **changes: Any
) -> list[CellRecord]:
    level = LEVELS.get(name or "", 0.0) if not changes.get("control") else 0.0
    more = {"mode_revision": revision(mode), **changes}
    return [record(name, mode, seed, level, **more) for seed in seeds]


def influence(cell: Cell) -> dict[str, np.ndarray]:
    """Noise of the cell on noise that all cells share."""
    own = np.random.default_rng(int(cell.hash[:8], 16)).normal(0, 1e-5, USERS)
    shared = np.random.default_rng(0).normal(0, 1e-3, USERS)
    values = (shared + own - (shared + own).mean()).astype(np.float32)
    return {"test/gauc": values, "test/auc": values}


def history_of(
    *records: list[CellRecord],
    versions: tuple[VersionManifest, ...] = tuple(map(version, DAYS)),
    **changes: Any,
) -> VersionHistory:
    stored = StoredVersions(
        manifest(),
        {one.name: one for one in versions},
        tuple(one for own in records for one in own),
        influence,
    )
    return history(stored, EFFECT, **changes)


def measured(records: list[CellRecord]) -> Measured:
    values = {one.cell.seed: one.metrics["test"].value("gauc") or 0.0 for one in records}
    moved = {one.cell.seed: influence(one.cell)["test/gauc"].astype(np.float64) for one in records}
    cell = records[0].cell
    return Measured(
        f"{cell.version_label} / {cell.mode}", values, moved
    )  # the name states the common part


@pytest.fixture
def cells() -> Callable[..., list[list[CellRecord]]]:
    return lambda: [arm(None, "none"), *(arm(name) for name in LEVELS)]


def test_deltas_are_those_of_one_family_and_so_are_the_steps_of_the_newest(cells):
    baseline, one, two, three = cells()
    sibling = arm("v3", control=SHUFFLED)
    found = history_of(three, sibling, two, baseline, one)
    vector = "vector against baseline"
    reference = measured(baseline)
    family = [pair(measured(own), reference, vector, "baseline") for own in (one, two, three)]
    family.append(pair(measured(three), measured(sibling), "vector against sibling", "sibling"))
    control = pair(measured(sibling), reference, vector, "baseline")
    expected = infer([own for own in family if own], auxiliary=[control] if control else [])
    places = [place for place in found.content.places if place.row.control is None]
    assert [place.row.version for place in places] == ["v1", "v2", "v3"]
    for place, other in zip(places, expected, strict=False):
        assert place.gain is not None
        assert place.gain.estimate == other.estimate
        assert (place.gain.low, place.gain.high) == pytest.approx((other.low, other.high))
    assert places[2].images[0].low == pytest.approx(expected[3].low)
    kinds = ("vector between versions", "version")
    steps = infer([c for own in (one, two) if (c := pair(measured(three), measured(own), *kinds))])
    newest = found.newest
    assert newest is not None
    assert newest.before == newest.best
    assert newest.before is not None
    assert newest.before.earlier == "v2"
    assert newest.before.difference == steps[1]
    assert newest.steps == 2
    means = [np.mean([r.metrics["test"].value("gauc") for r in own]) for own in (three, two)]
    assert newest.before.difference.estimate == pytest.approx(float(means[0] - means[1]))
    assert f"{100 * (means[0] - means[1]):+.2f} pp [" in found.line
    assert "v2, the one before and the best so far" in found.line


def test_versions_are_ordered_by_date_and_compared_with_previous_and_best(cells):
    days = {"v1": "2026-03-01", "v2": "2025-02-01", "v3": "2026-01-01"}
    made = tuple(version(name, f"{day}T12:00:00Z") for name, day in days.items())
    found = history_of(*cells(), versions=made)
    assert found.versions == ("v2", "v3", "v1")
    assert found.newest is not None
    assert found.newest.version == "v1"
    assert found.newest.before is not None
    assert found.newest.best is not None
    assert (found.newest.before.earlier, found.newest.best.earlier) == ("v3", "v2")
    assert {name: at.date().isoformat() for name, at in found.content.added.items()} == days


def test_a_version_without_a_manifest_has_no_date(cells):
    made = (version("v1"), version("v3"))
    found = history_of(*cells(), versions=made)
    assert found.versions == ("v2", "v1", "v3")
    assert "v2" not in found.content.added
    assert any(
        "manifest is missing" in not_shown and "v2" in not_shown
        for not_shown in found.content.missing
    )
    found = history_of(*cells(), versions=(*made, version("v2", "yesterday")))
    assert "v2" not in found.content.added


def test_each_mode_is_shown_under_the_settings_with_most_versions():
    few: dict[str, Any] = {"training": {"epochs": 2}}
    found = history_of(
        arm(None, "none"),
        *(arm(name) for name in ("v1", "v2", "v3")),
        *(arm(name, **few) for name in ("v2", "v3")),
        arm(None, "none", **few),
        *(arm(name, "sim_score", **few) for name in ("v1", "v2")),
        arm("v1", "sim_score"),
    )
    shown = {column.mode: column for column in found.content.table.columns}
    assert shown["vector"].training.epochs == 1
    assert shown["sim_score"].training.epochs == 2
    gains = {place.label for place in found.content.places if place.gain is not None}
    assert gains == {
        *(f"{name} / vector" for name in ("v1", "v2", "v3")),
        *(f"{name} / sim_score" for name in ("v1", "v2")),
    }
    not_shown = " ".join(found.content.missing)
    assert "vector: 1 other set of settings is stored, with at most 2 versions" in not_shown
    assert "sim_score: 1 other set of settings is stored, with at most 1 version; " in not_shown


def test_the_seeds_that_most_versions_share():
    found = history_of(
        arm(None, "none", (0, 1, 2, 3, 7)),
        arm("v1", seeds=(0, 1)),
        arm("v2", seeds=(0, 1)),
        arm("v3", seeds=(0, 1, 2, 3)),
    )
    gains = [place.gain for place in found.content.places]
    assert [gain.seeds for gain in gains if gain] == [(0, 1)] * 3
    assert "Seeds: 0, 1." in found.settings[0]


def test_an_unfinished_version_is_shown_on_its_stored_seeds():
    found = history_of(
        arm(None, "none"),
        arm("v1"),
        arm("v2"),
        [
            *arm("v3", seeds=(0,)),
            record("v3", "vector", 1, status="failed", mode_revision=revision("vector")),
        ],
    )
    not_shown = " ".join(found.content.missing)
    assert "v3 / vector (seeds 2)" in not_shown
    assert "1 cell failed: v3 / vector (seed 1)" in not_shown
    assert found.newest is not None
    assert found.newest.gain.seeds == (0,)


def test_other_protocols_imports_and_vectors_are_counted_and_not_mixed(cells):
    rest = [
        *arm("v3", protocol=PROTOCOL - 1),
        *arm("v3", data_hash="another"),
        *arm("v3", seeds=(0, 1), vectors_hash="another"),
        *arm("v3", mode_revision=99),
        record("v3", "vanished", 0),
        record("v3", "vector", 0, mode_settings={"lost": 1}),
        *arm(None, "none", (0,), repeat=1),
    ]
    found, alone = history_of(*cells(), rest), history_of(*cells())
    assert found.content.places == alone.content.places
    not_shown = found.content.missing
    for count, what in (
        (3, f"protocol {PROTOCOL - 1} "),
        (3, "another import"),
        (2, "other vectors that were once named v3"),
        (3, "revision 99 of vector"),
        (1, "vanished with settings"),
        (1, "vector with settings"),
    ):
        shown = f"Not shown: {counted(count, 'stored cell')} of {what}"
        assert any(line.startswith(shown) for line in not_shown), what


def test_nothing_to_show():
    with pytest.raises(DataError, match="'films'"):
        history_of()
    with pytest.raises(DataError, match="3 of protocol 1 "):
        history_of(arm("v1", protocol=1))
    with pytest.raises(DataError, match="'films'"):
        history_of(arm(None, "none"))


def test_no_baseline():
    found = history_of(arm("v1"), arm("v2"))
    assert found.newest is None
    assert found.line.startswith("v2, the newest version, has no interval")
    not_shown = " ".join(found.content.missing)
    assert "vector has no stored baseline" in not_shown
    assert "v3" in not_shown


def test_one_version_and_one_seed():
    found = history_of(arm(None, "none", (4,)), arm("v1", seeds=(4,)))
    assert found.newest is not None
    assert (found.newest.before, found.newest.best) == (None, None)
    assert "no earlier version" in found.line
    assert any("One seed (4)" in note for note in found.notes)


def test_json_has_a_date_and_an_interval_per_version_and_mode(cells):
    plain = history_of(*cells()).plain()
    assert [one["version"] for one in plain["versions"]] == ["v1", "v2", "v3"]
    assert plain["versions"][0]["added"] == "2026-01-05T12:00:00+00:00"
    assert plain["newest"]["version"] == "v3"
