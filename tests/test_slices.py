from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ctrbench.schema import ColumnValues, DatasetManifest, Field, Impressions, Ragged, Split
from ctrbench.slices import Slice, mask, problems

FIELDS = (
    Field(name="genres", of="item", kind="list", size=3),
    Field(name="country", of="user", kind="categorical", size=2),
    Field(name="hour", of="context", kind="categorical", size=2),
    Field(name="tags", of="context", kind="list", size=2),
    Field(name="year", of="item", kind="numeric"),
    Field(name="title", of="item", kind="text"),
)
VALUES = {
    "genres": ["Comedy", "Drama", "War"],
    "country": ["CN", "DE"],
    "hour": ["7", "8"],
    "tags": ["ad", "gift"],
}
# Two rows of train, then five of test.
USERS = [1, 1, 1, 2, 2, 1, 2]
ITEMS = [1, 2, 1, 2, 3, 4, 0]


def ragged(*rows: list[int]) -> Ragged:
    return Ragged(
        np.cumsum([0, *map(len, rows)]),
        np.array([code for row in rows for code in row], np.int32),
    )


def log() -> Impressions:
    manifest = DatasetManifest(
        name="tiny",
        importer="table",
        label="click",
        split=Split(kind="given"),
        periods={"train": (0, 2), "test": (2, 7)},
        history="derived",
        has_timestamp=False,
        has_weight=False,
        has_images=False,
        fields=FIELDS,
        counts={"impressions": 7, "users": 2, "items": 4},
        content_hash="",
        items_hash="",
        created="",
        ctrbench_version="",
    )
    context: dict[str, ColumnValues] = {
        "hour": np.array([1, 1, 2, 1, 2, 0, 1], np.int32),
        "tags": ragged([1], [2], [], [1, 2], [2, 2], [1], []),
    }
    return Impressions(
        manifest=manifest,
        user_id=np.array(USERS, np.int32),
        item_id=np.array(ITEMS, np.int32),
        click=np.zeros(7, np.int8),
        history_start=np.zeros(7, np.int64),
        history_length=np.array([0, 0, 1, 4, 5, 6, 0], np.int32),
        history_items=np.ones(6, np.int32),
        timestamp=None,
        weight=None,
        p_true=None,
        prior_impressions=None,
        prior_clicks=None,
        user_fields={"country": np.array([0, 1, 2], np.int32)},
        item_fields={"genres": ragged([], [1, 2], [3], [], [2])},
        context_fields=context,
    )


def chosen(**settings: Any) -> list[bool]:
    seen = np.array([False, True, True, True, False])
    return mask(Slice(**settings), log(), "test", VALUES.__getitem__, seen).tolist()


def test_unseen_items():
    assert chosen(unseen_items=True) == [False, False, False, True, True]


def test_short_histories():
    assert chosen(history_below=5) == [True, True, False, False, True]


def test_list_field_of_an_item_contains_the_value():
    assert chosen(field="genres", value="Drama") == [True, False, False, True, False]


def test_categorical_field_of_a_user():
    assert chosen(field="country", value="DE") == [False, True, True, False, True]


def test_categorical_field_of_the_context_given_as_a_number():
    assert chosen(field="hour", value=8) == [True, False, True, False, False]


def test_list_field_of_the_context():
    assert chosen(field="tags", value="gift") == [False, True, True, False, False]
    assert chosen(field="tags", value="ad") == [False, True, False, True, False]


def test_period_without_impressions():
    slice_ = Slice(field="tags", value="ad")
    assert len(mask(slice_, log(), "valid", VALUES.__getitem__, np.ones(5, bool))) == 0


@pytest.mark.parametrize(
    ("slice_", "key", "title"),
    [
        (Slice(unseen_items=True), "unseen_items", "items unseen in training"),
        (Slice(history_below=5), "history_below=5", "history shorter than 5 clicks"),
        (Slice(field="genres", value="Drama"), "genres=Drama", "genres = Drama"),
    ],
)
def test_names(slice_, key, title):
    assert (slice_.key, slice_.title) == (key, title)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "exactly one of"),
        ({"unseen_items": True, "history_below": 3}, "exactly one of"),
        ({"unseen_items": True, "value": "Drama"}, "exactly one of"),
        ({"field": "genres"}, "both `field` and `value`"),
        ({"value": "Drama"}, "both `field` and `value`"),
        ({"history_below": 0}, "greater than or equal to 1"),
        ({"unseen_items": False}, "True"),
        ({"genre": "Drama"}, "Extra inputs"),
    ],
)
def test_invalid_settings_are_errors(settings, message):
    with pytest.raises(ValidationError, match=message):
        Slice.model_validate(settings)


def check(*slices: Slice) -> list[str]:
    return problems(slices, log().manifest, VALUES.__getitem__)


def test_good_slices_have_no_problems():
    assert check(Slice(unseen_items=True), Slice(field="genres", value="War")) == []


def test_all_problems_are_listed_with_the_nearest_names():
    found = check(
        Slice(field="genre", value="Drama"),
        Slice(field="genres", value="Drame"),
        Slice(field="year", value="1995"),
        Slice(field="country", value="FR"),
        Slice(history_below=3),
        Slice(history_below=3),
    )
    parts = [
        ("history_below=3", "2 times"),
        ("genre=Drama", "'genre'", "'genres'?"),
        ("genres=Drame", "'Drame'", "'Drama'?"),
        ("year=1995", "'year' is numeric"),
        ("country=FR", "'FR'", "(CN, DE)"),
    ]
    for message, values in zip(found, parts, strict=True):
        assert all(value in message for value in values)
