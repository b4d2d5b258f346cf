import numpy as np

from ctrbench.injection import Images
from ctrbench.injection.cluster_id import ClusterId
from ctrbench.settings import ModelSettings


def test_items_on_three_rays_get_three_codes_and_a_missing_image_its_own(slots):
    rays = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    ray = np.arange(slots.impressions.item_rows) % 3
    vectors = rays[ray] * np.linspace(1, 9, len(ray), dtype=np.float32)[:, None]
    has_vector = np.ones(len(ray), bool)
    has_vector[[0, 7]] = False
    prepared = ClusterId(codebook_size=3).prepare(Images(vectors, has_vector, has_vector), slots, 0)
    code = prepared.item["code"][:, 0]
    assert code[7] == 0
    groups = [set(code[has_vector & (ray == r)]) for r in range(3)]
    assert all(len(group) == 1 for group in groups)
    assert set.union(*groups) == {1, 2, 3}
    assert prepared.facts["codes_used"] == 1.0


def test_centres_are_fitted_on_the_fitting_items_only(slots):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(slots.impressions.item_rows, 4)).astype(np.float32)
    has_vector = np.ones(len(vectors), bool)
    fitting = np.arange(len(vectors)) < 20
    changed = vectors.copy()
    changed[30:] = rng.normal(size=changed[30:].shape)
    mode = ClusterId(codebook_size=4)
    one = mode.prepare(Images(vectors, has_vector, fitting), slots, 0).item["code"]
    two = mode.prepare(Images(changed, has_vector, fitting), slots, 0).item["code"]
    assert np.array_equal(one[:30], two[:30])
    assert not np.array_equal(one[30:], two[30:])


def test_more_codes_than_items_is_a_problem():
    (problem,) = ClusterId(codebook_size=9).problems(8, 4, ModelSettings())
    assert "codebook_size 9 " in problem
    assert "at most 8" in problem
