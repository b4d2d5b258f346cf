import numpy as np
import pytest

from ctrbench.errors import ContractError
from ctrbench.injection._codes import CodeMode


def test_a_mode_without_codes_is_named():
    class Nothing(CodeMode):
        """Gives items no codes."""

    Nothing.__abstractmethods__ = frozenset()
    for call in (
        lambda: Nothing().fit(np.ones((2, 2), np.float32), 0),
        lambda: Nothing().assign(np.ones((2, 2), np.float32), {}),
    ):
        with pytest.raises(ContractError) as caught:
            call()
        message = "Nothing overrides neither `codes` nor both `fit` and `assign`."
        assert str(caught.value) == message
