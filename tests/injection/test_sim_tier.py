import numpy as np
import pytest
import torch

from ctrbench.injection.sim_tier import SimTier
from tests.injection.made import drawn, injected, raw_items


def cosine(given, one, two):
    a, b = given.vectors[one], given.vectors[two]
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_counts_equal_a_loop_over_pairs_with_images(slots):
    given = drawn(slots)
    found, batch = injected(SimTier(tiers=4, counts="plain"), slots, given)
    batch = raw_items(slots, batch)
    expected = np.zeros((len(batch.target), 4))
    for place, row in zip(batch.history.tolist(), batch.history_row.tolist(), strict=True):
        one, two = int(batch.item_id[batch.target[row]]), int(batch.item_id[place])
        if given.has_vector[one] and given.has_vector[two]:
            expected[row, min(3, int((cosine(given, one, two) + 1) * 2))] += 1
    assert expected.sum() < len(batch.history)  # some have no image
    np.testing.assert_array_equal(found.target, expected)


def test_equal_and_opposite_images_fall_into_the_last_and_the_first_bin(slots):
    rays = np.array([[1.0, 0.0], [-1.0, 0.0]])
    given = drawn(slots)
    given = type(given)(
        rays[np.arange(len(given.vectors)) % 2].astype(np.float32), given.has_vector, given.fitting
    )
    tier = SimTier().prepare(given, slots, 0).slot["tier"]
    assert set(np.unique(tier)) == {0, 1, 20}


@pytest.mark.parametrize("counts", ["log", "log_embedding"])
def test_logarithms_of_the_counts(slots, counts):
    given = drawn(slots)
    plain, _ = injected(SimTier(tiers=4, counts="plain"), slots, given)
    torch.manual_seed(0)
    mode = SimTier(tiers=4, counts=counts, width=2)
    found, _ = injected(mode, slots, given)
    logarithm = torch.log1p(plain.target)
    if counts == "log":
        torch.testing.assert_close(found.target, logarithm)
        return
    torch.manual_seed(0)
    vectors = mode.layers(mode.prepare(given, slots, 0))["tier_embedding"].weight.detach()
    expected = torch.einsum("bn,nw->bnw", logarithm, vectors).reshape(len(logarithm), -1)
    torch.testing.assert_close(found.target, expected)
