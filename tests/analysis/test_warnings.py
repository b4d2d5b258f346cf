import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctrbench.analysis import CEILING, compare
from ctrbench.schema import CurvePoint
from tests.analysis.made import (
    BASELINE,
    DRAMA,
    arm,
    baseline,
    by_hash,
    manifest,
    metrics,
    plan,
    record,
)
from tests.analysis.test_judging import moved


def test_a_valid_run_has_no_warnings():
    facts = {"coverage_items": 0.4, "coverage_targets": 0.95, "coverage_slots": 0.9}
    records = {**baseline(), **arm("raw / vector", (1, 1, 1), facts=facts)}
    assert compare(plan(reference=metrics(0.59), slices=(DRAMA,)), records).warnings == ()


def test_findings_of_the_import_are_first():
    found = plan(dataset=manifest(findings=("Histories hold later clicks.",)))
    lines = compare(replace(found, reference=metrics(0.60)), baseline()).warnings
    assert lines[0] == "Histories hold later clicks."
    assert len(lines) == 2


def test_baseline_that_does_not_beat_the_simple_rule():
    [line] = compare(plan(reference=metrics(0.60)), baseline()).warnings
    assert line.startswith("The baseline's GAUC 0.6000 is not above the 0.6000 of a logistic")


def test_weak_baseline_is_judged_by_the_headline():
    simple = metrics(0.60, auc=0.5)
    assert compare(plan(headline="auc", reference=simple), baseline()).warnings == ()


def test_few_evaluable_users_in_test_and_slice():
    few = {"test": metrics(0.6, evaluable_users=99)}
    slices = {DRAMA.key: metrics(0.6, evaluable_users=12)}
    records = by_hash(record("Baseline", 0, 0.6, metrics=few, slices=slices))
    [line] = compare(plan(slices=(DRAMA,)), records).warnings
    assert "fewer than 100" in line
    assert "the test period (99); genres = Drama (12)" in line


def test_low_coverage_names_the_version_and_its_shares():
    facts = {"coverage_items": 0.6, "coverage_targets": 0.49, "coverage_slots": 0.55}
    [line] = compare(plan(), {**baseline(), **arm("raw / vector", (1, 1, 1), facts=facts)}).warnings
    assert line.startswith("raw has vectors for 49.0 % of the targets, 55.0 % of the history slots")


def test_predictions_far_from_the_observed_rate():
    off = metrics(0.6, predicted_over_observed=1.3)
    records = {
        **by_hash(
            *(record("Baseline", s, v, metrics={"test": off}) for s, v in enumerate(BASELINE))
        ),
        **arm("raw / vector", (1, 1, 1)),
    }
    assert compare(plan(), records).warnings == (
        "Predicted over observed CTR lies outside 0.8 to 1.25: Baseline 1.30.",
    )


def _judged(records, spread: float = 1e-4, **changes):
    return compare(plan(**changes), records, moved(records, spread=spread))


def test_baselines_trained_twice_that_differ_are_named():
    same = record("Baseline", 0, 0.6)
    other = record("Baseline", 0, 0.6003)
    nearly = record("Baseline", 0, 0.6 + 1e-10)
    for again, difference, warned in (
        (same, "exactly 0", False),
        (nearly, "at most 1e-08 pp", False),
        (other, "at most 0.03 pp", True),
    ):
        table = compare(plan(repeated="again"), {**baseline(), "again": again})
        found = [line for line in table.warnings if line.startswith("A/A: the baseline of seed 0")]
        assert bool(found) == warned
        assert f"differs from itself by {difference}" in " ".join(table.caption)
    assert "GAUC +0.030 pp, AUC +0.030 pp" in found[0]


def test_baseline_not_trained_twice_has_no_warning():
    table = compare(plan(repeated="again"), baseline())
    assert "A/A" not in " ".join((*table.caption, *table.warnings))


def test_control_that_beats_the_baseline():
    good = {**baseline(), **arm("raw@shuffled / vector", (1.0, 1.1, 0.9))}
    [line] = _judged(good).warnings
    assert line.startswith("Controls that beat the baseline on GAUC: raw@shuffled / vector +1.00")
    bad = {**baseline(), **arm("raw@shuffled / vector", (-1.0, -1.1, -0.9))}
    assert _judged(bad).warnings == ()


def test_requested_effect_below_the_minimum_detectable_effect():
    records = {**baseline(), **arm("raw / vector", (0.1, 0.4, -0.2))}
    for effect, expected in ((0.001, True), (0.5, False), (None, False)):
        lines = _judged(records, effect=effect).warnings
        assert any("0.1 pp" in line and "1 of 1" in line for line in lines) == expected


def test_two_seeds():
    records = {**baseline(), **arm("raw / vector", (0.1, 0.2))}
    [line] = compare(
        plan(seeds=(0, 1), baselines={"": {0: "Baseline#0", 1: "Baseline#1"}}), records
    ).warnings
    assert line.startswith("Two seeds")


def test_seed_variance_that_dominates_with_three_seeds():
    noisy = {**baseline(), **arm("raw / vector", (1.0, -1.0, 0.2))}
    [line] = _judged(noisy).warnings
    assert "1 of 1 comparisons" in line
    quiet = {**baseline(), **arm("raw / vector", (0.1, 0.1, 0.1))}
    assert _judged(quiet).warnings == ()


def test_the_warning_on_three_seeds_quotes_the_worst_simulated_case():
    path = Path(__file__).parents[2] / "results" / "tables" / "calibration.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["simulated"]

    def worst(seeds):
        own = [row for row in rows if row["design"].endswith(f", {seeds} seeds")]
        found = [row[kind] for row in own for kind in ("false_alarms", "family")]
        return max(one["percent"] for one in found if one is not None)

    prior = path.with_name("calibration_prior.md").read_text(encoding="utf-8")
    [row] = [row for row in prior.splitlines() if row.startswith("| **")]  # the strength in force
    alone = max(float(place.strip(" *%")) for place in row.split("|")[2:4])
    noisy = {**baseline(), **arm("raw / vector", (1.0, -1.0, 0.2))}
    [line] = _judged(noisy).warnings
    assert f"{max(worst(3), alone):.1f} % false positives" in line
    assert worst(5) <= 7


def test_gain_that_is_implausibly_large():
    [line] = _judged({**baseline(), **arm("raw / vector", (6.0, 6.0, 6.0))}).warnings
    assert "gains in GAUC: raw / vector +6.00 pp" in line


def test_gain_above_the_attainable_gain():
    records = {**baseline(), **arm("raw / vector", (18, 18, 18))}
    influences = moved(records)
    influences[CEILING] = influences["Baseline#0"]
    _, line = compare(plan(ceiling=metrics(0.66)), records, influences).warnings
    assert "raw / vector 300 %" in line


def test_gain_on_test_that_is_absent_in_training():
    def curve(auc):
        return (CurvePoint(impressions=10**6, loss=0.5, auc=auc),)

    usual = baseline(curve=curve(0.60))  # 0.70 on test: easier for all arms
    leaking = arm("raw / vector", (3.0, 3.0, 3.0), curve=curve(0.605))
    similar = arm("pca_64 / vector", (1.0, 1.0, 1.0), curve=curve(0.61))
    [line] = compare(plan(), {**usual, **leaking, **similar}).warnings
    assert "raw / vector by 2.50 pp" in line
    assert "pca_64" not in line


def test_loss_on_test_is_never_a_leak():
    usual = baseline(curve=(CurvePoint(impressions=10**6, loss=0.5, auc=0.60),))
    worse = arm(
        "raw / vector",
        (-3.0, -3.0, -3.0),
        curve=(CurvePoint(impressions=10**6, loss=0.5, auc=0.50),),
    )
    assert compare(plan(), {**usual, **worse}).warnings == ()


def test_a_baseline_of_few_steps():
    curve = (CurvePoint(impressions=10_000, loss=0.7, auc=0.5),)
    [line] = compare(plan(), baseline(curve=curve)).warnings
    assert line.startswith("The baseline was trained for only 10 steps")


def test_one_seed_is_stated_and_nothing_is_bold():
    records = {**baseline(), **arm("raw / vector", (1.0,))}
    table = compare(plan(seeds=(0,), baselines={"": {0: "Baseline#0"}}), records, moved(records))
    assert "not for seed variance" in " ".join(table.caption)
    assert not any(e.separable for b in table.blocks for li in b.lines for e in li.entries)
    assert table.verdicts is not None
    assert table.verdicts.lines[0].verdict.startswith("better on this seed: +1.00 pp")


def test_a_small_effective_number_of_users_is_printed():
    records = {**baseline(), **arm("raw / vector", (1, 1, 1))}
    influences = moved(records)
    for key, effective, fires in (("test/gauc", 9.9, True), ("test/gauc", 10.0, False)):
        for values in influences.values():
            values[f"{key}/worth"] = np.array([effective])
        found = [
            line
            for line in compare(plan(), records, influences).warnings
            if "number of users" in line
        ]
        assert len(found) == fires
        if fires:
            assert "GAUC on the test period (9.9)" in found[0]


def probed(adds_pp: float, permuted: float = 0.5):
    """Return a baseline whose GAUC rises by the given amount under noise, with influence values."""
    records, influences = {}, {}
    for seed, gauc in enumerate(BASELINE):
        noisy = gauc + (adds_pp + 0.1 * (seed - 1)) / 100
        probes = {
            "noise_0.05/test": metrics(noisy),
            "noise_0.2/test": metrics(noisy),
            "permuted/test": metrics(permuted),
        }
        records |= by_hash(record("Baseline", seed, gauc, probes=probes))
    for key, values in moved(records).items():
        rng = np.random.default_rng(1)
        more = {}
        for metric in ("auc", "gauc"):
            shift = rng.normal(0, 1e-5, len(values["test/gauc"]))
            for probe in ("noise_0.05", "noise_0.2"):
                more[f"{probe}/test/{metric}"] = values[f"test/{metric}"] + shift
        more["permuted/test/gauc"] = rng.normal(0, 1e-4, len(values["test/gauc"]))
        influences[key] = values | more
    return records, influences


def test_noise_that_raises_a_metric():
    records, influences = probed(adds_pp=1.0)
    lines = compare(plan(), records, influences).warnings
    assert any("Noise on the baseline's logits raises GAUC by 1.00 pp" in line for line in lines)
    records, influences = probed(adds_pp=-0.3)
    assert not any("Noise" in line for line in compare(plan(), records, influences).warnings)


def test_arms_that_rank_permuted_outcomes():
    records, influences = probed(adds_pp=-0.3, permuted=0.47)
    [line] = [one for one in compare(plan(), records, influences).warnings if "permuted" in one]
    assert "Baseline 0.4700" in line
    records, influences = probed(adds_pp=-0.3, permuted=0.501)
    assert not any("permuted" in one for one in compare(plan(), records, influences).warnings)


def test_a_baseline_below_chance_has_no_verdict():
    records = {
        **by_hash(*(record("Baseline", s, 0.48) for s in range(3))),
        **by_hash(*(record("raw / vector", s, 0.70) for s in range(3))),
    }
    table = compare(plan(), records, moved(records))
    [line] = [one for one in table.warnings if "below chance" in one]
    assert "GAUC 0.4800 (baseline)" in line
    assert table.blocks[0].lines[1].entries[0].inference is None
    assert table.verdicts is None


def test_real_time_states():
    data = manifest(snapshot="impression")
    [line] = compare(plan(dataset=data), baseline()).warnings
    assert "--snapshot period" in line
    data = manifest(snapshot="impression", history="given")
    [line] = compare(plan(dataset=data), baseline()).warnings
    assert "click rates contain" in line
    data = manifest(snapshot="impression", history="given", has_timestamp=False)
    assert compare(plan(dataset=data), baseline()).warnings == ()
