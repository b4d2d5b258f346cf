import pytest

from ctrbench.embeddings._nearest import pairs

KNOWN = [str(number) for number in range(1, 3000)] + ["B00X4WHP5E", "item_99999", "Größe"]


@pytest.mark.parametrize(
    ("raw", "near"),
    [
        ("1001.0", "1001"),
        ("001001", "1001"),
        (" 1001", "1001"),
        ("1001.jpg", "1001"),
        ("7.jpeg", "7"),
        ("item_1001", "1001"),
        ("99999", "item_99999"),
        ("0099999.0", "item_99999"),
        ("b00x4whp5e", "B00X4WHP5E"),
        ("B00X4WHP5", "B00X4WHP5E"),
        ("GRÖSSE", "Größe"),
    ],
)
def test_nearest_id_is_suggested(raw, near):
    assert pairs([raw], KNOWN) == f"{raw!r} (nearest item: {near!r})"


@pytest.mark.parametrize("raw", ["?", "", "x" * 10_000])
def test_an_id_without_a_similar_one(raw):
    assert pairs([raw], KNOWN) == repr(raw)
    assert pairs([raw], []) == repr(raw)
