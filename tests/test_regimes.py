import numpy as np
import pytest

from benchmarks.regimes import averaged, rounding, study
from benchmarks.regimes.marks import STATED, _at_least, growth, marks, paired
from benchmarks.regimes.table import (
    _averaged,
    crossing,
    gains_of,
    interval,
    lines,
    net_gains,
    winner,
)
from benchmarks.shared import TABLES
from ctrbench.loops import load_loops


def row(replicate, mode, gauc, version="oracle"):
    return {"point": "p", "replicate": replicate, "version": version, "mode": mode, "gauc": gauc}


def test_gains_are_paired_with_the_baseline_of_the_same_replicate():
    rows = [
        row("0", "none", "0.60", ""),
        row("1", "none", "0.70", ""),
        row("0", "none/softmax", "0.61", ""),
        row("1", "none/softmax", "0.71", ""),
        row("0", "vector", "0.63"),
        row("1", "vector", "0.72"),
        row("0", "sim_attention", "0.63"),
        row("1", "sim_attention", "0.72"),
        row("0", "vector", "0.9", "random"),
    ]
    found = gains_of(rows, "p")
    np.testing.assert_allclose(found["vector"], [3, 2])
    np.testing.assert_allclose(found["sim_attention"], [2, 1])
    np.testing.assert_allclose(gains_of(rows[::-1], "p")["vector"], [3, 2])  # in any order of rows
    assert gains_of(rows, "other") == {}


def test_net_gains_are_those_over_random_vectors_in_the_same_replicate():
    rows = []
    for replicate in range(16):
        gains = {"oracle": 0.05 + 0.001 * replicate, "random": 0.01 + 0.0005 * replicate}
        values = {("", "none"): 0.6} | {(one, "vector"): 0.6 + g for one, g in gains.items()}
        rows += [
            row(str(replicate), mode, str(gauc), version) | {"point": "main-60k-0.5"}
            for (version, mode), gauc in values.items()
        ]
    net = net_gains(rows, "60k")
    assert [*net] == [0.5]
    np.testing.assert_allclose(net[0.5]["vector"], 4 + 0.05 * np.arange(16))
    assert net_gains(rows[:-3], "60k") == {}  # a replicate is missing
    assert net_gains([one for one in rows if one["version"] != "random"], "60k") == {}


def test_interval_of_a_mean_is_that_of_student():
    low, high = interval(np.array([1.0, 2.0, 3.0]))  # t(2) = 4.303
    assert (low, high) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), abs=1e-3)


def test_a_winner_exceeds_all_others_significantly():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=16)
    gains = {"a": 3 + noise, "b": 1 + noise + rng.normal(0, 0.1, 16), "c": rng.normal(size=16)}
    assert winner(gains) == "a"
    gains["d"] = gains["a"] - rng.normal(0, 0.5, 16)
    assert winner(gains) is None
    few = {"a": np.array([3.0, 3.1]), "b": np.array([1.0, 1.1001])}
    assert winner(few) is None  # the design shows two replicates without a winner
    assert winner({mode: values - 10 for mode, values in gains.items()}) is None


def test_crossing_is_interpolated():
    def at(first, second):
        return {"x": np.array([first]), "y": np.array([second])}

    points = {1.0: at(4, 1), 0.5: at(2, 1), 0.0: at(0, 2)}
    assert crossing(points, "x", "y") == pytest.approx(0.5 - 0.5 / 3)
    assert crossing({1.0: at(4, 1), 0.0: at(2, 1)}, "x", "y") is None


def test_points_have_the_sizes_of_the_design():
    found = {point.name: point for point in study.points()}
    assert len(found) == len(study.points()) == 37
    config = found["main-300k-0.5"].config(3)
    assert (config.users, config.items, config.impressions) == (10_000, 3_000, 600_000)
    assert (config.alignment, config.roles, config.seed) == (0.5, 2, 3)
    text, softmax = found["codes-8-0"].files(0)
    assert "cluster_id: {codebook_size: 240}" in text
    assert "sim_attention: {}" in softmax
    assert '"attention_weights": "softmax"' in softmax
    assert ["id_init" in next(found[name].files(0)) for name in ("warm-0", "tail-0.4-0")] == [0, 1]


def test_hypotheses_are_judged_by_the_rules_of_the_design():
    """Check marks on gains that are known by construction, at 60,000 training impressions."""
    rng = np.random.default_rng(0)

    def marked(sim, cluster, vector):
        rows = []
        for level in study.ALIGNMENTS:
            for replicate in map(str, range(16)):
                noise = rng.normal(0, 0.02, 3)
                gains = np.array([sim(level), cluster(level), vector(level)]) + noise
                named = zip(("sim_score", "cluster_id", "vector"), gains, strict=True)
                values = {("", "none"): 60.0} | {("oracle", m): 60 + gain for m, gain in named}
                rows += [
                    row(replicate, mode, str(value / 100), version)
                    | {"point": f"main-60k-{level:g}"}
                    for (version, mode), value in values.items()
                ]
        return {name: (mark, text) for name, mark, text in marks(rows, [])}

    stated = {1.0: 1.0} | STATED
    found = marked(lambda at: 6 * stated[at], lambda at: 2.92, lambda at: 1.8 + 2 * at)
    assert [found[name][0] for name in ("H1", "H2", "H4", "H5")] == ["open"] * 4  # other sizes lack
    assert "0.73 [0.7" in found["H1"][1]
    assert found["Claim: order of modes"][0] == "refuted"
    assert found["Crossings"][0] == "open"  # of `sim_score` with both
    found = marked(lambda at: 6.0, lambda at: 2 * at, lambda at: 4 * at)
    assert [found[name][0] for name in ("H1", "H2", "H4", "H5")] == ["refuted"] * 4
    assert found["Crossings"][0] == "refuted"


def test_few_replicates_are_shown_one_by_one_without_interval_and_winner():
    values = {("", "none"): (0.60, 0.70), ("", "none/softmax"): (0.60, 0.70)}
    values |= {("oracle", mode): (0.63, 0.72) for mode in ("vector", "sim_score", "cluster_id")}
    rows = [
        row(str(replicate), mode, str(gauc[replicate]), version) | {"point": "main-10000k-0"}
        for (version, mode), gauc in values.items()
        for replicate in range(2)
    ]
    assert np.isnan(interval(np.array([3.0, 2.0]))).all()
    found = lines(rows)
    for line in (
        "| vector | +3.00, +2.00 |",
        "| **winner** | – |",
        "| `sim_score` minus `vector` | +0.00, +0.00 |",
    ):
        assert line in found
    assert "Gain in GAUC over the baseline, pp, of each replicate (2)." in found


def test_averaged_weights_have_the_worlds_of_the_map_and_net_gains():
    of_map = {point.name: point for point in study.points()}
    for point in averaged.averaged():
        assert point.config(0) == of_map[point.name].config(0)
        (text,) = point.files(0)
        assert '"weight_averaging": 0.25' in text
    gains = {"oracle": (3.0, 2.0, 2.5), "random": (1.0, 1.0, 1.0)}
    rows = [row(str(k), "none", "0.6", "") | {"point": "main-1500k-0"} for k in range(3)]
    rows += [
        row(str(k), mode, str(0.6 + gain / 100), version) | {"point": "main-1500k-0"}
        for version, of in gains.items()
        for k, gain in enumerate(of)
        for mode in ("vector", "sim_score", "cluster_id")
    ]
    found = _averaged(rows)
    assert "## Averaged weights: 1,500,000 training impressions" in found
    both = [line for line in found if line.startswith("| vector |")]
    assert [line[:17] for line in both] == ["| vector | +2.50 ", "| vector | +1.50 "]
    assert _averaged([]) == []


def test_a_baseline_that_is_trained_again_has_a_row_that_names_its_rounding(tmp_path, monkeypatch):
    point = study.Point("small", 2000, 1, 1.0, items_per_1000=50)
    monkeypatch.setattr(rounding, "points", lambda: [point])
    plain, averaged_row = (
        rounding.baseline_row("small", 0, chosen, "cpu", tmp_path / "home")
        for chosen in (False, True)
    )
    assert plain["trained_on"] == (
        "CPU" if load_loops() is not None else "CPU without compiled loops"
    )
    assert (plain["weight_averaging"], averaged_row["weight_averaging"]) == (0, 0.25)
    assert plain["gauc"] != averaged_row["gauc"]
    assert not (tmp_path / "home").exists()
    assert plain == rounding.baseline_row("small", 0, False, "cpu", tmp_path / "home")


def test_the_stored_table_is_that_of_the_stored_rows():
    stored = (TABLES / "regimes.md").read_text(encoding="utf-8")
    assert stored == "\n".join(lines(study.read_rows())) + "\n"


def test_rows_are_appended_in_the_order_of_the_stored_columns(tmp_path):
    path = tmp_path / "rows.csv"
    study.add_rows([{"a": 1, "b": 2}], path)
    study.add_rows([{"b": 4, "a": 3}], path)
    assert path.read_text(encoding="utf-8") == "a,b\n1,2\n3,4\n"
    with pytest.raises(ValueError, match="'c'"):
        study.add_rows([{"a": 5, "c": 6}], path)
    assert len(study.read_rows(path)) == 2


def test_a_control_is_trained_once_and_has_the_baseline_of_the_map(tmp_path, monkeypatch):
    control = next(one for one in study.controls() if one.name == "main-60k-0")
    path, where = tmp_path / "rows.csv", {"point": control.name, "replicate": "0"}
    plain = where | {"version": "", "mode": "none", "gauc": "0.6", "auc": "0.7"}
    study.add_rows([plain], path)
    assert not study.is_stored(control, 0, path)
    monkeypatch.setattr(study, "trained_rows", lambda *_: [plain, random])
    random = plain | {"version": "random", "mode": "vector"}
    rows = study.control_rows(control, 0, tmp_path, 1, path)
    assert rows == [random]
    study.add_rows(rows, path)
    assert study.is_stored(control, 0, path)
    assert not study.is_stored(control, 1, path)
    monkeypatch.setattr(study, "trained_rows", lambda *_: [plain | {"gauc": "0.61"}, random])
    with pytest.raises(SystemExit, match=r"the baseline none is 0.61, and 0.6 in the stored"):
        study.control_rows(control, 0, tmp_path, 1, path)


def test_intervals_of_ratios_cover_what_they_state():
    """Check 2,000 samples of three replicates, whose ratio of means is one half."""
    rng, values = np.random.default_rng(0), np.array([1.0, 2.0, 4.0])
    assert paired(float, values) == pytest.approx((values.mean(), *interval(values)))
    inside = 0
    for _ in range(2000):
        full = rng.normal(4, 0.5, 3)
        _, low, high = paired(lambda a, b: a / b, full / 2 + rng.normal(0, 0.2, 3), full)
        inside += low <= 0.5 <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.02)


def test_intervals_of_growth_cover_what_they_state():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        value, low, high = growth(rng.normal(1, 0.5, 16), rng.normal(2, 1, 3))
        assert low < value < high
        inside += low <= 1 <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.03)


def test_a_growth_is_open_while_its_interval_contains_the_stated_one():
    assert _at_least(1, (1.2, 0.4, 2.0)) == "confirmed"
    assert _at_least(1, (0.2, -0.9, 1.3)) == "open"
    assert _at_least(1, (0.2, -0.1, 0.9)) == "refuted"


def test_details_are_judged_by_the_rules_that_were_stated_for_them():
    """Check marks on gains, gradients and losses that are known by construction."""
    rng = np.random.default_rng(0)

    def marked(new, image_half, head, worlds=("details-1", "details-0", "details-cold")):
        rows = []
        for world in worlds:
            for replicate in map(str, range(6)):
                values = {("none", ""): (0.0, 0.0)}
                values |= {("cluster_id", "oracle"): (2.0, new), ("vector", "oracle"): (4.0, 2.0)}
                for mode in ("vector", "sim_score", "cluster_id"):
                    for version, cost in (("courier", 0.0), ("courier-projection", head)):
                        values[mode, version] = 3 - cost, 0.0
                for (mode, version), gains in values.items():
                    noise = rng.normal(0, 0.01, 2)
                    gauc, new_gauc = (60 + np.array(gains) + noise) / 100
                    fields = {"gauc": gauc, "new_gauc": new_gauc, "image_half": image_half}
                    fields |= {"image_gradient": 0.4, "ids_gradient": 0.6, "ids_half": 0.5}
                    place = {"point": world, "replicate": replicate, "mode": mode}
                    rows.append(place | {"version": version} | fields)
        found = {name: mark for name, mark, _ in marks([], rows)}
        claims = "the gradient of `vector` vanishes", "the projection head hurts"
        return [found["H6"], *(found[f"Claim: {claim}"] for claim in claims)]

    assert marked(1.6, 0.7, 0.5) == ["confirmed"] * 3
    assert marked(0.4, 0.4, -0.5) == ["refuted"] * 3
    assert marked(1.0, 0.7, 0.0)[2] == "open"
    assert marked(1.6, 0.7, 0.5, ["details-1"]) == ["open"] * 3


def test_a_screen_is_judged_on_versions_within_a_log():
    def mark(*cluster):
        rows = []
        for level in (1, 0):
            gains = zip(
                ("oracle", "noisy_0.5", "noisy_0.125", "random"), (4, 3, 2, 1), cluster, strict=True
            )
            for version, sim, other in gains:
                point = f"{'main-300k' if version == 'oracle' else 'vectors'}-{level}"
                for replicate in map(str, range(6)):
                    values = {("", "none"): 0.6, (version, "sim_score"): 0.6 + sim / 100}
                    values[version, "cluster_id"] = 0.6 + other / 100
                    values[version, "vector"] = 0.6 + sim / 100
                    rows += [
                        row(replicate, mode, str(gauc), name) | {"point": point}
                        for (name, mode), gauc in values.items()
                    ]
        found = {name: mark for name, mark, _ in marks(rows, [])}
        return found["Claim: `sim_score` screens for `cluster_id`"]

    assert mark(4, 3, 2, 1) == "confirmed"
    assert mark(4, 3, 1, 2) == "confirmed"  # the rank correlation is 0.8
    assert mark(4, 1, 3, 2) == "open"
    assert mark(1, 2, 3, 4) == "refuted"
