from ctrbench.reports import compare
from tests.reports.made import BASELINE, DRAMA, arm, baseline, by_hash, metrics, plan, record


def test_a_sound_run_warns_of_nothing():
    facts = {"coverage_items": 0.4, "coverage_targets": 0.95, "coverage_slots": 0.9}
    records = {**baseline(), **arm("raw / vector", (1, 1, 1), facts=facts)}
    assert compare(plan(reference=metrics(0.59), slices=(DRAMA,)), records).warnings == ()


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
    assert line == (
        "Fewer than 100 evaluable users carry GAUC on the test period (99); genres = Drama (12)."
    )


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
