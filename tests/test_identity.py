import numpy as np
import pytest

from ctrbench.identity import ContentHash, hash_code, hash_json


def of(array, monkeypatch=None):
    content = ContentHash()
    content.array("x", array)
    return content.hexdigest()


def test_hash_depends_on_values_and_not_on_the_order_of_keys():
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 2})


def test_blocks_and_byte_order_do_not_change_the_hash(monkeypatch):
    array = np.arange(1000, dtype=np.int32)
    whole = of(array)
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 7)
    assert of(array) == whole
    assert of(array.astype(">i4")) == whole


def test_hash_depends_on_shape_type_and_name():
    array = np.arange(6, dtype=np.int32)
    assert len({of(array), of(array.reshape(2, 3)), of(array.astype(np.int64))}) == 3


def test_adjacent_texts_are_separated():
    one, two = ContentHash(), ContentHash()
    one.text("ids", ["ab", "c"])
    two.text("ids", ["a", "bc"])
    assert one.hexdigest() != two.hexdigest()


CODE = '''"""Text."""
class A:
    """Text."""
    def f(self):
        """Text."""
        return "Text."  # text
'''


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (CODE.replace('"""Text."""', '"""Another text."""'), True),
        (CODE.replace("# text", "# another"), True),
        (CODE.replace('        """Text."""\n', ""), True),
        (CODE.replace("self):", "self, ):\n"), True),
        (CODE.replace('return "Text."', 'return "Another."'), False),
        (CODE.replace("def f", "def g"), False),
    ],
)
def test_code_is_hashed_without_comments_docstrings_and_layout(tmp_path, edit, same):
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(CODE)
    after.write_text(edit)
    assert (hash_code(before) == hash_code(after)) is same
