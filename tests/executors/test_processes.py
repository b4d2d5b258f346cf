import os
import signal
import subprocess
import sys
from multiprocessing import forkserver

import pytest

from ctrbench.errors import CtrBenchError, StoreError
from ctrbench.executors import processes, run_tasks


def square(task, progress):
    progress(0.5)
    return task * task


def die_on_two(task, progress):
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def full_disk(task, progress):
    raise StoreError("no space left")


def always(task):
    return True


def test_every_task_is_done_and_reports_progress():
    events = list(run_tasks([1, 2, 3], square, 2, always, []))
    assert sorted(e.value for e in events if e.kind == "done") == [1, 4, 9]
    assert [e.value for e in events if e.kind == "progress"] == [0.5] * 3


def test_killed_process_is_reported_and_others_continue():
    events = {event.task: event for event in run_tasks([1, 2, 3], die_on_two, 1, always, [])}
    assert events[2].kind == "died"
    assert "signal 9" in events[2].value
    assert [events[task].kind for task in (1, 3)] == ["done", "done"]


def test_error_in_a_process_ends_the_run_with_its_message():
    with pytest.raises(CtrBenchError, match="no space left"):
        list(run_tasks([1, 2], full_disk, 1, always, []))


def test_task_that_is_not_free_waits(tmp_path):
    asked = []

    def free(task):
        asked.append(task)
        return task != 1 or asked.count(1) > 2

    done = [e.task for e in run_tasks([1, 2], square, 1, free, []) if e.kind == "done"]
    assert done == [2, 1]


def test_abandoned_run_ends_its_processes():
    events = run_tasks([0], tell_and_wait, 1, always, [])
    pid = int(next(events).value)
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def tell_and_wait(task, progress):
    progress(os.getpid())
    signal.pause()


def test_without_tasks_nothing_starts(monkeypatch):
    monkeypatch.setattr(processes, "start_server", lambda preload: pytest.fail("started"))
    assert list(run_tasks([], square, 1, always, [])) == []


def test_end_of_a_command_does_not_wait_for_imports(tmp_path):
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(1000)")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from ctrbench.executors.processes import start_server\n"
        "start_server(['endless'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0  # stdout and stderr are closed


def forkserver_pid():
    return forkserver._forkserver._forkserver_pid


def test_script_without_a_guard_runs_once(tmp_path):
    """Processes do not import the main module, which would run the script again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from operator import is_\n"
        "from ctrbench.executors import run_tasks\n"
        "print('begins')\n"
        "events = run_tasks([1, 2], is_, 2, lambda task: True, [])\n"
        "print([event.value for event in events])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "begins\n[False, False]\n"
    assert not done.stderr
