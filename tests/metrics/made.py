"""Random logs that several tests of metrics share."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

EXACT = {"rel": 0, "abs": 1e-12}


def random_log(rows: int, users: int, levels: int, seed: int = 0):
    """Return clicks, tied p_click, user ids with gaps, and weights over six orders of magnitude."""
    draw = np.random.default_rng(seed)
    click = (draw.random(rows) < 0.3).astype(np.int8)
    p = draw.integers(0, levels, rows) / levels
    user = draw.integers(0, users, rows) ** 2 - 7
    return click, p, user, 10 ** draw.uniform(-3, 3, rows)


logs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.int8, n, elements=st.integers(0, 1)),
        arrays.arrays(np.int64, n, elements=st.integers(0, 6)),
        arrays.arrays(np.int64, n, elements=st.integers(-3, 3)),
        arrays.arrays(np.float64, n, elements=st.floats(0.01, 100)),
    )
)
