"""Files from strangers do no harm: some inputs of every reader, and that harm would be noticed."""

import json
import subprocess
import sys

import pytest

from tests.fuzz.judging import Finding
from tests.fuzz.running import ROOT, run
from tests.fuzz.targets import targets

INPUTS = 20  # of every target, with its samples
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


def test_harm_is_noticed(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz.harmful", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("_nothing") is None
    assert found.pop("_refusal") is None
    expected = {
        "_another_error": "KeyError",
        "_file_outside": "outside",
        "_code": "os.system",
        "_escape": "printed",
        "_memory": "MemoryError",
        "_long_message": "40,000",
        "_escape_in_message": "control characters",
    }
    assert found.keys() == expected.keys()
    for name, word in expected.items():
        assert word in found[name], name
