import pytest

from tests.analysis.finished import Told, finished


def asked(**arms: Told | None):
    return finished({name: {"vector": told} for name, told in arms.items()}).answer


def kind(told: Told) -> str:
    return asked(v7=told).findings[0].kind


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Told(1.0, image=0.9), "better"),
        (Told(1.0), "better"),  # no sibling was run
        (Told(1.0, image=0.1, sibling=0.9), "shared"),
        (Told(1.0, image=0.1, sibling=0.1), "unexplained"),
        (Told(0.1, image=0.9), "none"),
        (Told(0.1), "none"),
        (Told(-1.0, image=0.9), "worse"),
    ],
)
def test_better_needs_both_deltas(told, expected):
    assert kind(told) == expected


def test_the_largest_supported_gain_is_shipped():
    found = asked(v6=Told(0.5, image=0.4), v7=Told(1.0, image=0.9), v8=Told(2.0, 3.0))
    assert found.ship is not None
    assert found.ship.row.version == "v7"
    assert found.lines[0].about == "ship"
    assert "v7 / vector" in found.lines[0].text
    assert found.remedies is None
    assert "+1.00 pp [+0.80, +1.20]" in found.lines[1].text
    assert "+0.90 pp [+0.70, +1.10]" in found.lines[1].text


def test_a_gain_that_the_sibling_shares_is_not_shipped():
    found = asked(v7=Told(1.0, image=0.1, sibling=0.9))
    assert found.ship is None
    assert any("gain not due to image content" in line.text for line in found.lines)


def test_one_seed_ships_nothing():
    found = asked(v7=Told(1.0, image=0.9, seeds=(0,)))
    assert found.ship is None
    assert found.findings[0].one_seed
    assert "seed" in found.lines[0].text


def test_users_decide_where_they_make_the_variance():
    found = asked(v7=Told(0.05, half=1.0)).remedies
    assert found is not None
    assert found.kind == "users"
    assert found.need is not None
    assert found.need.users > 10


def test_seeds_decide_where_users_are_enough():
    found = asked(v7=Told(0.02, half=0.075)).remedies
    assert found is not None
    assert found.kind == "seeds"
    assert found.need is not None
    assert found.need.seeds is not None


def test_neither_decides_where_the_effect_would_have_been_detected():
    found = asked(v7=Told(0.0, half=0.05)).remedies
    assert found is not None
    assert found.kind == "neither"


def test_the_smallest_detectable_effect_is_said():
    (line,) = [one for one in asked(v7=Told(0.0, half=1.96)).lines if one.about == "none"]
    assert "2.80 pp" in line.text


def test_an_arm_without_cells_is_missing_and_no_failure():
    found = asked(v7=Told(1.0, image=0.9), v8=None)
    assert found.missing == 1
    assert len(found.findings) == 1


def test_nothing_stored_is_said():
    found = asked(v7=None)
    assert found.findings == ()
    assert found.ship is None


def test_at_most_six_lines_with_two_hundred_arms():
    kinds = [
        Told(1.0, image=0.9),
        Told(1.0, image=0.1, sibling=0.9),
        Told(1.0, image=0.1, sibling=0.1),
        Told(-1.0),
        Told(0.0),
    ]
    arms: dict[str, Told | None] = {f"v{at}": kinds[at % 5] for at in range(199)}
    found = asked(**arms, v199=None)
    assert len(found.lines) == 6
    assert all(len(line.text) < 600 for line in found.lines)
