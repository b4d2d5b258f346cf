from dataclasses import replace

import pytest

from ctrbench.analysis.answer import answer
from tests.analysis.finished import Deltas, finished


def answer_of(**arms: Deltas | None):
    return finished({name: {"vector": deltas} for name, deltas in arms.items()}).answer


def kind(deltas: Deltas) -> str:
    return answer_of(v7=deltas).findings[0].kind


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (Deltas(1.0, image=0.9), "better"),
        (Deltas(1.0), "better"),  # no sibling was run
        (Deltas(1.0, image=0.1, sibling=0.9), "shared"),
        (Deltas(1.0, image=0.1, sibling=0.1), "unexplained"),
        (Deltas(0.1, image=0.9), "none"),
        (Deltas(0.1), "none"),
        (Deltas(-1.0, image=0.9), "worse"),
    ],
)
def test_better_needs_both_deltas(deltas, expected):
    assert kind(deltas) == expected


def test_the_largest_supported_gain_is_shipped():
    found = answer_of(v6=Deltas(0.5, image=0.4), v7=Deltas(1.0, image=0.9), v8=Deltas(2.0, 3.0))
    assert found.ship is not None
    assert found.ship.row.version == "v7"
    assert found.lines[0].about == "ship"
    assert "v7 / vector" in found.lines[0].text
    assert found.remedies is None
    assert "+1.00 pp [+0.80, +1.20]" in found.lines[1].text
    assert "+0.90 pp [+0.70, +1.10]" in found.lines[1].text


def test_a_gain_that_the_sibling_shares_is_not_shipped():
    found = answer_of(v7=Deltas(1.0, image=0.1, sibling=0.9))
    assert found.ship is None
    assert any("gain not due to image content" in line.text for line in found.lines)


def test_no_arm_is_shipped_on_one_seed():
    found = answer_of(v7=Deltas(1.0, image=0.9, seeds=(0,)))
    assert found.ship is None
    assert found.findings[0].one_seed
    assert "seed" in found.lines[0].text


def test_users_are_required_if_they_dominate_the_variance():
    found = answer_of(v7=Deltas(0.05, half=1.0)).remedies
    assert found is not None
    assert found.kind == "users"
    assert found.need is not None
    assert found.need.users > 10


def test_seeds_are_required_if_users_suffice():
    found = answer_of(v7=Deltas(0.02, half=0.075)).remedies
    assert found is not None
    assert found.kind == "seeds"
    assert found.need is not None
    assert found.need.seeds is not None


def test_neither_is_required_if_the_effect_is_detectable():
    found = answer_of(v7=Deltas(0.0, half=0.05)).remedies
    assert found is not None
    assert found.kind == "neither"


def test_the_smallest_detectable_effect_is_printed():
    (line,) = [one for one in answer_of(v7=Deltas(0.0, half=1.96)).lines if one.about == "none"]
    assert "2.80 pp" in line.text


def test_an_arm_without_cells_is_missing_and_not_failed():
    found = answer_of(v7=Deltas(1.0, image=0.9), v8=None)
    assert found.missing == 1
    assert len(found.findings) == 1


def test_a_stored_arm_without_an_interval_is_not_missing():
    table = finished({"v7": {"vector": Deltas(1.0)}})
    lines = tuple(
        replace(line, entries=tuple(replace(one, inference=None) for one in line.entries))
        for line in table.blocks[0].lines
    )
    found = answer([replace(table.blocks[0], lines=lines)], table.columns, 0.0005, 0.001)
    assert (found.missing, found.unjudged) == (0, 1)
    assert [line.about for line in found.lines] == ["ship"]
    assert "missing" not in found.lines[0].text


def test_nothing_stored():
    found = answer_of(v7=None)
    assert found.findings == ()
    assert found.ship is None


def test_at_most_six_lines_with_two_hundred_arms():
    kinds = [
        Deltas(1.0, image=0.9),
        Deltas(1.0, image=0.1, sibling=0.9),
        Deltas(1.0, image=0.1, sibling=0.1),
        Deltas(-1.0),
        Deltas(0.0),
    ]
    arms: dict[str, Deltas | None] = {f"v{at}": kinds[at % 5] for at in range(199)}
    found = answer_of(**arms, v199=None)
    assert len(found.lines) == 6
    assert all(len(line.text) < 600 for line in found.lines)
