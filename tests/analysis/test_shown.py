from ctrbench.analysis.shown import environments, settings_of
from tests.analysis.made import by_hash, record


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
