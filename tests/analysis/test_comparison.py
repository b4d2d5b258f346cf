from ctrbench.analysis.comparison import Comparison, gather
from tests.analysis.made import arm, baseline, column, plan, row


def test_every_place_is_compared_with_its_baseline_and_with_siblings_that_were_run():
    raw, shuffled, pca = plan().rows
    vector, cluster = plan().columns
    alone = gather(plan(), baseline()).comparisons
    assert alone == tuple(Comparison(r, c) for r in (raw, shuffled, pca) for c in (vector, cluster))
    arms = gather(plan(), {**baseline(), **arm("raw@shuffled / vector", (0.1, 0.2, 0.3))})
    assert arms.against_siblings() == [
        Comparison(raw, vector, shuffled),
        Comparison(raw, cluster, shuffled),
    ]
    assert set(arms.against_baseline()) == set(alone)


def test_arms_of_a_comparison():
    arms = gather(plan(), arm("raw@shuffled / vector", (0.1, 0.2, 0.3)))
    one = Comparison(row("raw"), column("vector"), row("raw@shuffled"))
    assert arms.arm(one).label == "raw / vector"
    assert arms.reference(one).label == "raw@shuffled / vector"
    assert one.title == "raw / vector against raw@shuffled"
    whole = Comparison(row("raw"), column("vector"))
    assert arms.reference(whole) is arms.first
    assert whole.title == "raw / vector against Baseline"


def test_row_determines_whether_an_arm_is_a_control():
    assert Comparison(row("raw@shuffled"), column("vector")).control
    assert not Comparison(row("raw"), column("vector"), row("raw@shuffled")).control


def test_equal_places_are_one_key():
    assert {Comparison(row("raw"), column("vector")): 1}[
        Comparison(row("raw"), column("vector"))
    ] == 1
    other = column("vector", "epochs=2", epochs=2)
    assert Comparison(row("raw"), column("vector")) != Comparison(row("raw"), other)
