"""A version is created once: by the first of several commands, and jointly by processes."""

import multiprocessing
import os
import shutil
import signal
from contextlib import ExitStack
from dataclasses import replace

from ctrbench import embeddings, impressions
from ctrbench.errors import DataError
from ctrbench.identity import hash_json
from ctrbench.locks import lock
from ctrbench.pretraining.methods import configured
from ctrbench.pretraining.running import Job, pretrain
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import FrozenVectors
from tests.processes import by_processes

SETTINGS = PretrainSettings(epochs=1, batch_size=64, width=16)


def job(version):
    return Job("taste", version, "courier", configured("courier", {}), SETTINGS)


OFTEN = replace(
    job("made"), settings=SETTINGS.model_copy(update={"epochs": 3, "checkpoint_s": 1e-9})
)


def source(workspace, version):
    log = impressions.open_impressions(workspace, "taste")
    table = embeddings.open_version(workspace, "taste", version)
    return FrozenVectors(table, version, "hash", impressions.items_in_period(log, "pretrain"))


def made(workspace, version="made", of="oracle", **more):
    seen = []
    found = pretrain(
        workspace, job(version), source(workspace, of), lambda *_: seen.append(0), **more
    )
    return found, len(seen)


def test_second_command_waits_and_uses_the_version_of_the_first(workspace):
    (first, _), _ = made(workspace)
    folder = workspace.embeddings / "taste" / "made"
    shutil.move(folder, workspace.home / "aside")
    log = impressions.open_impressions(workspace, "taste")
    key = hash_json(job("made").recipe(log, source(workspace, "oracle")))
    with ExitStack() as other:
        other.enter_context(lock(workspace.cache / "locks" / f"pretraining-{key}.lock"))

        def ends():
            shutil.move(workspace.home / "aside", folder)
            other.close()

        (found, new), steps = made(workspace, waiting=ends)
    assert found == first
    assert not new
    assert not steps


def test_command_that_waited_in_vain_creates_the_version(workspace):
    log = impressions.open_impressions(workspace, "taste")
    key = hash_json(job("made").recipe(log, source(workspace, "oracle")))
    with ExitStack() as other:
        other.enter_context(lock(workspace.cache / "locks" / f"pretraining-{key}.lock"))
        (_, new), steps = made(workspace, waiting=other.close)
    assert new
    assert steps


def kills_itself(workspace, step):
    """Create the version, but send SIGKILL to this process after a step."""

    def progress(done, *_):
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    pretrain(workspace, OFTEN, source(workspace, "oracle"), progress)


def test_killed_pretraining_resumes_to_the_same_vectors(workspace):
    vectors = workspace.embeddings / "taste" / "made" / "vectors.npy"
    pretrain(workspace, OFTEN, source(workspace, "oracle"), lambda *_: None)
    before = vectors.read_bytes()
    embeddings.remove_version(workspace, "taste", "made")
    for step in (2, 4):
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=kills_itself, args=(workspace, step))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    seen = []
    pretrain(workspace, OFTEN, source(workspace, "oracle"), lambda done, *_: seen.append(done))
    assert seen[0] == 4  # the checkpoint of step 3
    assert vectors.read_bytes() == before


def both(rank, found, workspace):
    made(workspace)
    found["made", rank] = "made" in embeddings.names(workspace, "taste")
    found["again", rank] = made(workspace)
    try:
        made(workspace, "flat", of="constant")
    except DataError as error:
        found["flat", rank] = str(error)


def test_no_process_ends_before_the_version_is_registered(workspace):
    found = by_processes(2, both, workspace)
    assert found["made", 0]
    assert found["made", 1]
    assert found["again", 1] == (None, 0)
    assert not found["again", 0][0][1]
    assert "the vectors collapsed" in found["flat", 0]
    assert found["exit code", 1] == 0  # silent: the first process prints the reason
