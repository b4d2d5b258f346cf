"""What every executor does: each test runs on all of them."""

import os
import re
import time

import pytest

from ctrbench import plugins
from ctrbench.errors import CtrBenchError
from ctrbench.executors import Executor, Limits, Program, Task
from ctrbench.executors._memory import own_bytes
from tests.executors import works

NAMES = plugins.names("ctrbench.executors")


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.cluster] if name == "ray" else []) for name in NAMES
    ]
)
def made(request):
    """Give a function that makes the executor with two jobs and the given limits."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    kind = plugins.load("ctrbench.executors", request.param, Executor)

    def make(limits=Limits(), jobs=2):  # noqa: B008
        return kind(jobs=jobs, limits=limits)

    return make


@pytest.fixture
def events(made, tmp_path):
    """Give a function that runs messages to the end and returns the events."""

    def run(work, messages, admit=lambda task: "start", **options):
        tasks = [Task(message) for message in messages]
        return list(made(**options).run(tasks, Program(work, tmp_path), admit))

    return run


def values(events, kind="done"):
    return {event.task.message: event.value for event in events if event.kind == kind}


def test_every_task_is_done_and_reports_progress(events):
    found = events(works.square, [1, 2, 3])
    assert values(found) == {1: 1, 2: 4, 3: 9}
    assert values(found, "progress") == {1: 0.5, 2: 0.5, 3: 0.5}
    assert len(found) == 6


def test_a_killed_process_is_tried_again_and_others_continue(events, tmp_path):
    found = events(works.die_once, [1, 2, 3])
    assert values(found) == {1: 1, 2: 2, 3: 3}
    (again,) = [event for event in found if event.kind == "retried"]
    assert again.task.message == 2
    assert again.value == (
        "its process was killed (signal 9); the most frequent cause is a lack of memory"
    )
    tries = {path.name: path.stat().st_size for path in tmp_path.glob("tried-*")}
    assert tries == {"tried-1": 1, "tried-2": 2, "tried-3": 1}


def test_a_task_whose_process_is_killed_twice_is_given_up(events):
    found = events(works.die_always, [1, 2, 3])
    assert values(found) == {1: 1, 3: 3}
    assert list(values(found, "retried")) == [2]
    assert values(found, "died") == {
        2: "its process was killed (signal 9); the most frequent cause is a lack of memory; it was "
        "tried 2 times"
    }


def test_a_task_that_hangs_is_stopped_and_not_tried_again(events):
    found = events(works.hang, [1, 2, 3], limits=Limits(seconds=3))
    assert values(found) == {1: 1, 3: 3}
    assert values(found, "retried") == {}
    reason = values(found, "died")[2]
    assert re.fullmatch(
        r"it was stopped after 3\.\d s; the limit is 3 s\. Raise --max-time, then train it again "
        r"with --retry-failed",
        reason,
    )


def test_a_task_that_exceeds_its_memory_is_stopped_and_not_tried_again(events):
    limit = own_bytes(os.getpid()) + 200_000_000
    found = events(works.grow, [1, 2, 3], limits=Limits(bytes=limit))
    assert values(found) == {1: 1, 3: 3}
    assert values(found, "retried") == {}
    used, allowed = re.fullmatch(
        r"it was stopped because it used (.*) GB of memory; the limit is (.*) GB\. Raise "
        r"--max-memory or lower batch_size, then train it again with --retry-failed",
        values(found, "died")[2],
    ).groups()
    assert float(allowed) == round(limit / 1e9, 2)
    assert float(allowed) <= float(used) < float(allowed) + 1


def test_an_error_of_a_task_ends_the_run_with_its_message(events):
    with pytest.raises(CtrBenchError, match=r"^no space left$"):
        events(works.full_disk, [1, 2])


def test_a_bug_of_a_task_is_its_failure_and_others_continue(events):
    found = events(works.divide, [1, 0, 2])
    assert values(found) == {1: 1.0, 2: 0.5}
    assert values(found, "died")[0].startswith("ZeroDivisionError: division by zero\n")


def test_a_task_that_must_wait_starts_later(events):
    asked = []

    def admit(task):
        asked.append(task.message)
        return "wait" if task.message == 1 and asked.count(1) <= 2 else "start"

    found = events(works.square, [1, 2], admit, jobs=1)
    assert list(values(found)) == [2, 1]


def test_a_dropped_task_does_not_start(events):
    found = events(works.square, [1, 2], lambda task: "drop" if task.message == 1 else "start")
    assert values(found, "dropped") == {1: None}
    assert values(found) == {2: 4}


def test_an_abandoned_run_ends_its_processes(made, tmp_path):
    run = made().run([Task(0)], Program(works.tell_and_wait, tmp_path), lambda task: "start")
    first = next(run)
    assert (first.kind, first.value) == ("progress", 0.25)
    pid = int((tmp_path / "pid").read_text())
    assert own_bytes(pid) > 0
    run.close()
    deadline = time.monotonic() + 20
    while own_bytes(pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert not own_bytes(pid)


def test_the_work_reads_the_inputs(made, tmp_path):
    (tmp_path / "one").write_text("text")
    program = Program(works.read_file, tmp_path, inputs=("one",))
    (event,) = made().run([Task("one")], program, lambda task: "start")
    assert (event.kind, event.value) == ("done", "text")
