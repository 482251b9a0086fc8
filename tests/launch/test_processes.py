import os
import sys
import time
from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch import processes
from mlobs_client.launch.processes import Child, find_program
from mlobs_client.launch.sections import read_last_section


@pytest.fixture
def start(tmp_path):
    """``start(code)`` runs Python code as a child; killed when the test ends."""
    children = []

    def run(code: str, environment: dict[str, str] | None = None) -> Child:
        children.append(Child("child", [sys.executable, "-c", code], tmp_path, environment))
        return children[-1]

    yield run
    for child in children:
        child.end(0.0)


def wait_for(child: Child, word: str) -> None:
    deadline = time.monotonic() + 20.0
    while word not in child.said():
        assert time.monotonic() < deadline, child.said()
        time.sleep(0.02)


def test_the_log_holds_what_was_said_on_both_streams(start, tmp_path):
    child = start("import sys; print('one'); print('two', file=sys.stderr)")
    assert child.wait(20.0)
    assert child.status == 0
    assert sorted(child.said().split()) == ["one", "two"]


def test_a_second_child_continues_the_log_but_has_its_own_words(start, tmp_path):
    assert start("print('first')").wait(20.0)
    second = start("print('second')")
    assert second.wait(20.0)
    assert second.last_line == "second"
    heads = [line[:4] for line in (tmp_path / "child.log").read_text().splitlines()]
    assert heads == ["====", "firs", "====", "seco"]
    section = read_last_section(tmp_path / "child.log")
    assert section.title.startswith("child: ")
    assert section.lines == ("second",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full")
def test_a_full_disk_costs_the_title_of_a_section_and_not_the_child(start, tmp_path):
    (tmp_path / "child.log").symlink_to("/dev/full")
    child = start("pass")
    assert child.wait(20.0)
    assert child.status == 0


def test_a_date_does_not_make_last_words_different(start):
    child = start("print('2026-11-30 17:00:05+0000 mlobs client: WARNING: lost')")
    assert child.wait(20.0)
    assert child.last_line == "mlobs client: WARNING: lost"


def test_a_child_gets_its_environment_and_its_own_session(start):
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.getsid(0))"
    child = start(code, {"OMP_NUM_THREADS": "3"})
    assert child.wait(20.0)
    assert child.said().split() == ["3", str(child.pid)]
    assert os.getsid(0) != child.pid


def test_what_was_said_once_is_remembered(start):
    child = start("import time; print('connected'); time.sleep(1); print('x' * 100_000)")
    wait_for(child, "connected")
    assert child.has_said("connected")
    assert child.wait(20.0)
    assert "connected" not in child.said()
    assert child.has_said("connected")
    assert not child.has_said("lost")


def test_what_srun_adds_is_not_what_its_task_has_said(start):
    child = start("print('mlobs: error: no model'); print('srun: error: n1: task 0: Exited')")
    assert child.wait(20.0)
    assert child.last_line == "mlobs: error: no model"


def test_a_killed_child_has_the_signal_as_its_last_words(start):
    child = start("import os; print('working', flush=True); os.kill(os.getpid(), 9)")
    assert child.wait(20.0)
    assert child.last_line == "killed by SIGKILL"


def test_a_child_that_says_nothing_tells_its_status(start):
    child = start("raise SystemExit(7)")
    assert child.wait(20.0)
    assert child.last_line == "ended with status 7"


def test_a_stubborn_child_is_killed_after_the_patience(start):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    child = start(f"{code}; time.sleep(60)")
    wait_for(child, "up")
    began = time.monotonic()
    child.end(0.3)
    assert 0.3 <= time.monotonic() - began < 10.0
    assert child.status == -9


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(LaunchError, match="cannot be started"):
        Child("child", [sys.executable, "-c", ""], tmp_path / "gone")


def test_a_program_is_found_beside_the_running_python():
    assert Path(find_program("i-pi", "ipi")).parent == Path(sys.executable).parent


def test_a_program_that_is_not_installed_is_an_error_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(processes.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"pip install 'mlobs\[mpi\]'"):
        find_program("mpirun", "mlobs[mpi]")
