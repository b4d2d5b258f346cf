from ctrbench.analysis.shown import Place, _codes, environments, settings_of
from ctrbench.injection import load_mode
from ctrbench.plan import Column, Row
from ctrbench.settings import TrainingSettings
from tests.analysis.finished import inferred
from tests.analysis.made import by_hash, record


def place(version: str, size: int, width: int = 16) -> Place:
    settings = load_mode("cluster_id", {"codebook_size": size, "width": width})
    label = f"cluster_id codebook_size={size} width={width}"
    column = Column("cluster_id", settings, label, TrainingSettings())
    return Place(Row(version), column, inferred(size / 1000, 0.1))


def test_curves_of_codes_differ_in_nothing_else():
    places = [place("v7", 200), place("v7", 50), place("v7", 50, 8), place("v8", 50)]
    (curve,) = _codes(places)
    assert curve.row == Row("v7")
    assert curve.rest == "cluster_id width=16"
    assert [size for size, _ in curve.points] == [50, 200]
    assert curve.points[0][1].estimate == places[1].gain.estimate  # pyright: ignore


def test_an_arm_that_is_not_stored_is_no_point():
    lacking = Place(Row("v7"), place("v7", 50).column, None, status="missing")
    assert list(_codes([lacking, place("v7", 200)])) == []


def test_versions_of_libraries_are_counted():
    records = by_hash(
        record("Baseline", 0, 0.6),
        record("Baseline", 1, 0.6, environment={"torch": "2.7.0", "numpy": "2"}),
    )
    assert environments(records) == {"numpy": {"2": 1}, "torch": {"2.6.0": 1, "2.7.0": 1}}


def test_settings_are_those_of_all_cells():
    records = by_hash(
        record("Baseline", 0, 0.6, settings={"training": {"epochs": 1}}),
        record("Baseline", 1, 0.6, settings={"training": {"epochs": 2}}),
    )
    assert settings_of(records) == {"training": {"epochs": "1, 2"}}
