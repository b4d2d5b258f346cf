import numpy as np
import pytest

from ctrbench.impressions.periods import perhaps_among


@pytest.mark.parametrize("wanted", [0, 1, 3, 1000])
@pytest.mark.parametrize("factor", [1, 1 << 20])
def test_wanted_keys_are_found_and_few_others(wanted, factor):
    rng = np.random.default_rng(wanted)
    keys = factor * rng.integers(0, 5000, 20_000)
    some = factor * rng.integers(0, 5000, wanted)
    found = perhaps_among(keys, some)
    exact = np.flatnonzero(np.isin(keys, some))
    assert np.isin(exact, found).all()
    assert (np.diff(found) > 0).all()
    assert len(found) <= len(exact) + len(keys) / 4
