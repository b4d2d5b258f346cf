"""Files from strangers do no harm: some inputs of every reader, and that harm would be noticed."""

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.fuzz.judging import Finding
from tests.fuzz.running import ROOT, run
from tests.fuzz.targets import targets
from tests.fuzz.worker import ROUND, Databases

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


def test_targets_read_equally_many_inputs(tmp_path):
    names = ["weights", "vectors_npy", "vectors_csv"]
    counts = Counter()
    for name, _ in run(names, tmp_path, SEED, 2 * ROUND + 1):
        counts[name] += 1
        assert max(counts.values()) - min(counts[one] for one in names) <= ROUND
    assert counts == dict.fromkeys(names, 2 * ROUND + 1)


CAMPAIGN = """\
import sys
from pathlib import Path
from tests.fuzz.running import run
for one in run(["weights"], Path(sys.argv[1]), 0, 1 << 40):
    print(one, flush=True)
"""


def test_a_worker_ends_with_its_campaign(tmp_path):
    command = [sys.executable, "-c", CAMPAIGN, str(tmp_path / "files")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as campaign:
        assert campaign.stdout is not None
        campaign.stdout.readline()
        place = Path(f"/proc/{campaign.pid}/task/{campaign.pid}/children")
        (worker,) = (int(one) for one in place.read_text().split())
        ended = os.pidfd_open(worker)
        os.kill(worker, signal.SIGSTOP)  # as if an input took forever
        assert not select.select([ended], [], [], 0)[0]
        campaign.kill()
        assert select.select([ended], [], [], 60)[0], "the worker outlives the campaign"
        os.close(ended)


def test_connections_share_no_tables():
    databases, connect = Databases(), duckdb.connect
    with databases.shared():
        first = duckdb.connect("file", config={"threads": 2})
        first.execute("CREATE TABLE one AS FROM range(3)")
        assert duckdb.connect().execute("SHOW TABLES").fetchall() == []
        assert first.execute("FROM one").fetchall() == [(0,), (1,), (2,)]
    assert duckdb.connect is connect
    with pytest.raises(duckdb.Error):
        first.execute("FROM one")
    with databases.shared():
        duckdb.connect().execute("CREATE TABLE one AS FROM range(3)")


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
