import numpy as np

from ctrbench.identity import ContentHash, hash_json


def of(array, monkeypatch=None):
    content = ContentHash()
    content.array("x", array)
    return content.hexdigest()


def test_order_of_keys_does_not_matter_but_values_do():
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 2})


def test_blocks_and_byte_order_do_not_matter(monkeypatch):
    array = np.arange(1000, dtype=np.int32)
    whole = of(array)
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 7)
    assert of(array) == whole
    assert of(array.astype(">i4")) == whole


def test_shape_type_and_name_matter():
    array = np.arange(6, dtype=np.int32)
    assert len({of(array), of(array.reshape(2, 3)), of(array.astype(np.int64))}) == 3


def test_texts_do_not_run_together():
    one, two = ContentHash(), ContentHash()
    one.text("ids", ["ab", "c"])
    two.text("ids", ["a", "bc"])
    assert one.hexdigest() != two.hexdigest()
