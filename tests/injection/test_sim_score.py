import numpy as np

from ctrbench.injection import Images
from ctrbench.injection.sim_score import SimScore


def test_score_is_the_cosine_of_target_and_clicked_image(slots):
    log, rng = slots.impressions, np.random.default_rng(0)
    vectors = rng.normal(size=(log.item_rows, 3)).astype(np.float32)
    has_vector = np.ones(log.item_rows, bool)
    has_vector[[0, 5]] = False
    prepared = SimScore().prepare(Images(vectors, has_vector, has_vector), slots, 0)
    for where, target, history in slots.pairs():
        for score, t, h in zip(prepared.slot["score"][where], target, history, strict=True):
            a, b = vectors[t], vectors[h]
            expected = 0 if 5 in (t, h) else a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert abs(score - expected) < 1e-6
