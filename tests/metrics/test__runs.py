import numpy as np
import pytest

from ctrbench.metrics._runs import distinct, within_groups

VALUES = {
    "few of a small range": np.array([7, 5, 7, 6], np.int32),
    "wide range": np.array([1 << 60, -5, 1 << 60]),
    "large unsigned": np.array([2**64 - 1, 2**64 - 3, 2**64 - 1], np.uint64),
    "range wider than the type": np.tile(np.array([-128, 127, 0], np.int8), 50),
    "text": np.array(["b", "a", "b"]),
    "empty": np.zeros(0, np.int64),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_distinct_values_equal_those_of_numpy(values):
    expected = np.unique(values, return_inverse=True)
    found = distinct(values)
    assert found[0].dtype == values.dtype
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_order_within_groups_is_that_of_a_stable_sort():
    rng = np.random.default_rng(0)
    order, group = rng.permutation(1000), rng.integers(0, 2**31, 7)[rng.integers(0, 7, 1000)]
    expected = order[np.argsort(group[order], kind="stable")]
    np.testing.assert_array_equal(within_groups(order, group), expected)
