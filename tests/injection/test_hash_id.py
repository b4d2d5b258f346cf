import numpy as np

from ctrbench.injection.hash_id import HashId
from ctrbench.settings import ModelSettings
from tests.injection.made import images


def codes(kind, vectors, slots, seed=0, size=16):
    mode = HashId(kind=kind, codebook_size=size)
    return mode.prepare(images(vectors), slots, seed).item["code"][:, 0]


def test_simhash_depends_on_angles_and_random_does_not(slots):
    """Check that two vectors share a sign with probability 1 - angle / pi."""
    rng = np.random.default_rng(0)
    one, turned = rng.normal(size=(2, slots.impressions.item_rows, 8))
    near = one + 0.2 * turned
    shared = {}
    for kind in ("random", "simhash"):
        same = [codes(kind, one, slots, s) == codes(kind, near, slots, s) for s in range(200)]
        shared[kind] = np.mean([row[1:].mean() for row in same])
    cosine = (one * near).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(near, axis=1)
    expected = ((1 - np.arccos(cosine[1:]) / np.pi) ** 4).mean()
    assert abs(shared["simhash"] - expected) < 0.03
    assert abs(shared["random"] - 1 / 16) < 0.03


def test_equal_vectors_share_a_code_and_a_missing_image_has_its_own(slots):
    vectors = np.repeat(np.eye(3)[None, 1], slots.impressions.item_rows, axis=0)
    for kind in ("random", "simhash"):
        code = codes(kind, vectors, slots)
        assert code[0] == 0
        assert len(set(code[1:])) == 1
        assert 1 <= code[1] <= 16


def test_number_of_codes_is_a_power_of_two():
    assert HashId(codebook_size=64).problems(9, 4, ModelSettings()) == []
    problems = HashId(codebook_size=200).problems(9, 4, ModelSettings())
    assert len(problems) == 1
    assert all(number in problems[0] for number in ("200", "128", "256"))
