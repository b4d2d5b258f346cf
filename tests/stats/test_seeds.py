import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrbench.stats import Delta, paired_delta

by_seed = st.dictionaries(st.integers(0, 6), st.floats(0, 1))


def test_hand_made_pairs():
    delta = paired_delta({0: 0.61, 1: 0.62, 2: 0.66}, {0: 0.60, 1: 0.60, 2: 0.60})
    assert delta is not None
    assert delta.mean_pp == pytest.approx(3)
    # differences 1, 2, 6: variance 7, standard error sqrt(7 / 3)
    assert delta.standard_error_pp == pytest.approx(1.5275252)


def test_only_common_seeds_are_used():
    assert paired_delta({0: 0.75, 7: 0.1}, {0: 0.5, 3: 0.9}) == Delta(25.0, None, (0,))


def test_no_delta_without_a_common_seed():
    assert paired_delta({0: 0.7}, {1: 0.7}) is None


def test_an_arm_against_itself_is_exactly_zero():
    assert paired_delta({0: 0.7, 1: 0.8}, {1: 0.8, 0: 0.7}) == Delta(0.0, 0.0, (0, 1))


@given(by_seed, by_seed)
def test_reversing_the_arms_flips_the_sign(values, reference):
    forward, backward = paired_delta(values, reference), paired_delta(reference, values)
    if forward is None or backward is None:
        assert forward is backward is None
        assert not values.keys() & reference.keys()
    else:
        assert forward.mean_pp == -backward.mean_pp
        assert forward.standard_error_pp == backward.standard_error_pp
