import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

from ctrbench.executors import Processes, Program, Task, _local
from tests.executors import works


def start(task):
    return "start"


def test_without_tasks_nothing_starts(monkeypatch, tmp_path):
    monkeypatch.setattr(_local, "start_server", lambda preload: 1 / 0)
    assert list(Processes().run([], Program(works.square, tmp_path), start)) == []


def test_a_prepared_server_runs_the_tasks(tmp_path):
    executor, program = Processes(jobs=1), Program(works.square, tmp_path, preload=("json",))
    executor.prepare(program.preload)
    server = forkserver._forkserver._forkserver_pid
    assert [event.value for event in executor.run([Task(3)], program, start)] == [0.5, 9]
    assert forkserver._forkserver._forkserver_pid == server


def test_processes_that_run_at_once_have_different_slots(tmp_path):
    tasks = [Task(number) for number in range(2)]
    program = Program(works.meet, tmp_path)
    events = Processes(jobs=2).run(tasks, program, start)
    assert sorted(event.value[0] for event in events if event.kind == "done") == ["0", "1"]


def test_a_run_survives_the_death_of_the_server_of_processes(tmp_path):
    tasks = [Task(number) for number in range(6)]
    done = []
    for event in Processes(jobs=2).run(tasks, Program(works.square, tmp_path), start):
        if event.kind == "progress":
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        else:
            done.append((event.kind, event.task.message, event.value))
    assert sorted(done) == [("done", number, number**2) for number in range(6)]


def test_a_process_does_not_import_the_script_that_started_the_run(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('imported')\n"
        "from pathlib import Path\n"
        "from ctrbench.executors import Processes, Program, Task\n"
        "from tests.executors import works\n"
        "program = Program(works.square, Path())\n"
        "print([e.value for e in Processes().run([Task(3)], program, lambda task: 'start')])\n"
    )
    found = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}  # where `tests` is
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, env=found
    )
    assert done.stdout == "imported\n[0.5, 9]\n", done.stderr


ENDLESS = """
from ctrbench.executors._local import start_server
start_server(["endless"])
print("started", flush=True)
{end}
"""


def ended(tmp_path, end):
    """Return the exit code of a command whose server imports forever; its output is closed."""
    (tmp_path / "endless.py").write_text(
        "import pathlib, signal\n"
        "pathlib.Path(__file__).with_name('importing').touch()\n"
        "signal.pause()\n"
    )
    code = ENDLESS.format(end=end)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.stdout == b"started\n", done.stderr
    return done.returncode


def test_the_end_of_a_command_does_not_wait_for_imports(tmp_path):
    assert ended(tmp_path, "") == 0


def test_a_killed_command_does_not_leave_its_output_open(tmp_path):
    end = (
        "import os, pathlib\n"
        f"while not pathlib.Path({str(tmp_path / 'importing')!r}).exists(): os.sched_yield()\n"
        "os.kill(os.getpid(), 9)"
    )
    assert ended(tmp_path, end) == -9
