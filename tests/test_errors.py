import pytest

from ctrbench.errors import refusal


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        ({"type": "tuple_type", "input": 3}, "must be a list, such as [a, b] (given: 3)"),
        ({"type": "dict_type", "input": None}, "must contain `key: value` pairs (given: nothing)"),
        ({"type": "missing", "input": {}}, "missing; add it"),
        ({"type": "literal_error", "ctx": {"expected": "'a' or 'b'"}}, "must be 'a' or 'b'"),
        ({"type": "value_error", "msg": "Value error, use {one}"}, "use {one}"),
        ({"type": "new_in_pydantic", "msg": "in its own words"}, "in its own words"),
    ],
)
def test_message_of_an_invalid_value(detail, message):
    assert refusal({"msg": "", "input": object(), **detail}) == message
