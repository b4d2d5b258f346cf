"""Files from strangers do no harm: some inputs of every reader, and that harm would be noticed."""

import sys

import pytest

from tests.fuzz.judging import Finding
from tests.fuzz.running import run
from tests.fuzz.targets import targets

INPUTS = 20  # of every target, besides its samples
SEED = 0
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is limited by the address space"
)


def test_readers_refuse_or_read_every_input(tmp_path):
    known = targets()
    found = list(run(list(known), tmp_path, SEED, INPUTS))
    assert [one for one in found if isinstance(one, Finding)] == []
    assert {name for name, _ in found} == set(known)
    assert len(found) == INPUTS * len(known)
    for target in known.values():
        assert len(target.samples) + len(target.hostile) < INPUTS, "a sample is not read"
