"""``mlobs run`` with the real i-PI: how it ends, and goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import Run, is_alive

from mlobs_client.ipi import read_bead_extras

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


def test_a_run_to_the_end_exits_zero_and_leaves_nothing_running(run: Run) -> None:
    run.prepare(steps=6)
    run.start(n_clients=2)
    assert run.wait() == 0, run.said
    assert "finished: all 6 steps are done" in run.said
    assert run.steps() == [0, 1, 2, 3, 4, 5, 6]
    assert "sent EXIT" in (run.folder / "client-1.log").read_text()
    assert list(Path("/tmp").glob(f"*/{run.address}")) == []


@pytest.mark.parametrize(("signum", "ahead"), [(signal.SIGINT, 0), (signal.SIGTERM, 3600)])
def test_a_signal_leaves_a_restart_and_says_how_to_go_on(
    run: Run, signum: signal.Signals, ahead: int
) -> None:
    run.prepare(steps=60, seconds=0.02)
    # our clock is ahead of that of the files
    ours = f"import time\nnow = time.time\ntime.time = lambda: now() + {ahead}\n"
    (run.folder / "sitecustomize.py").write_text(ours)
    run.start()
    run.wait_for_step(2)
    children = run.children()
    assert run.process is not None
    run.process.send_signal(signum)
    assert run.wait(30.0) == 128 + signum, run.said
    assert not any(is_alive(pid) for pid in children.values())
    assert f"stopped: {signum.name}; RESTART is at step" in run.said
    assert "mlobs run input.xml client.toml --no-check -n 1 --resume" in run.said


def test_a_run_that_was_stopped_goes_on_without_gap_or_repeat(run: Run) -> None:
    run.prepare(steps=40, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    assert run.process is not None
    run.process.terminate()
    assert run.wait(30.0) == 143
    run.start("RESTART")
    assert run.wait() == 0, run.said
    assert run.steps() == list(range(41))


def test_the_same_line_starts_a_run_continues_it_after_a_kill_and_says_its_end(run: Run) -> None:
    run.prepare(steps=60)
    hold = run.folder / "hold"
    hold.write_text("26")  # two beads: nothing after step 12, however long we are not looking
    path = run.folder / "input.xml"
    checkpoint = "<checkpoint filename='kept' stride='5'/> </output>"
    path.write_text(path.read_text().replace("</output>", checkpoint))
    run.start("input.xml", 1, "--resume")
    run.wait_for_step(12)
    assert run.process is not None
    children = run.children()
    run.process.terminate()
    run.wait_until((run.folder / "EXIT").exists)
    for pid in (run.process.pid, *children.values()):  # a batch system does not wait
        os.kill(pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert "continuing from" not in run.said
    hold.unlink()
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    went_on = r"continuing from (RESTART|simulation\.kept_?\d*) \(step 1\d\)"
    assert re.search(went_on, run.said), run.said
    assert "EXIT, with which a run that was killed had ended its i-PI" in run.said
    steps = read_bead_extras(run.folder / "simulation.dipole").steps
    assert steps.tolist() == list(range(61))
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    assert "finished: all 60 steps are done (RESTART)" in run.said


def test_a_run_of_which_only_ipi_is_left_is_gone_on_with(run: Run) -> None:
    run.prepare(steps=20, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    assert run.process is not None
    children = run.children()
    run.process.kill()
    os.kill(children["client-0"], signal.SIGKILL)
    run.wait()
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    assert not is_alive(children["i-pi"])
    assert "continuing from RESTART" in run.said
    assert run.steps() == list(range(21))


def test_a_server_that_is_killed_ends_all_within_two_seconds_with_its_log(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    run.start(n_clients=2)
    run.wait_for_step(2)
    children = run.children()
    os.kill(children["i-pi"], signal.SIGKILL)
    began = time.monotonic()
    assert run.wait(20.0) == 1
    # 2 s are promised; the rest is for the end of a Python process on a busy machine
    assert time.monotonic() - began < 4.0
    assert not any(is_alive(pid) for pid in children.values())
    assert "mlobs: error: i-PI ended:" in run.said
    assert "i-pi.log" in run.said


def test_a_server_that_refuses_its_input_ends_all_with_its_message(run: Run) -> None:
    run.prepare(steps=10)
    path = run.folder / "input.xml"
    path.write_text(path.read_text().replace("conserved", "conserved, dipole"))
    run.start()
    assert run.wait() == 1
    assert "the electric field is defined only when using" in run.said
    assert len(run.said.split("mlobs: error:")) == 2


def test_a_socket_that_only_the_owner_can_enter_is_made_for_each_run(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    with socket.socket(socket.AF_UNIX) as other:  # of another i-PI, with the same <address>
        other.bind(f"/tmp/ipi_{run.address}")
        try:
            other.listen()
            run.start()
            run.wait_for_step(2)
            folder = Path(run.socket).parent
            assert folder.stat().st_mode & 0o777 == 0o700
            assert run.wait() == 0, run.said
            other.settimeout(0.0)
            with pytest.raises(BlockingIOError):
                other.accept()
        finally:
            Path(f"/tmp/ipi_{run.address}").unlink()
    assert not folder.exists()


def test_a_whole_path_in_use_is_refused_and_its_owner_is_not_disturbed(run: Run) -> None:
    run.prepare(steps=10)
    path = run.folder / "client.toml"
    path.write_text(path.read_text().replace(run.address, f"/tmp/ipi_{run.address}"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"/tmp/ipi_{run.address}")
        other.listen()
        run.start()
        assert run.wait() == 1
    assert f"is in use by process {os.getpid()}" in run.said
    assert (run.folder / "i-pi.log").read_text() == ""


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(run: Run) -> None:
    run.prepare(steps=5000, seconds=0.02)  # longer than the second takes to start, under any load
    run.start()
    run.wait_for_step(2)
    text = (run.folder / "input.xml").read_text().replace(run.address, f"{run.address}-other")
    (run.folder / "second.xml").write_text(text)
    command = [sys.executable, "-m", "mlobs_client", "run", "second.xml", "client.toml"]
    second = subprocess.run(
        [*command, "--no-check", "--others-serve"],
        cwd=run.folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert second.returncode == 1
    assert run.process is not None
    assert f"another 'mlobs run' (process {run.process.pid}) is running in" in second.stderr
    n_steps = len(run.steps())
    run.wait_for_step(n_steps + 2)
    (run.folder / "EXIT").touch()
    assert run.wait() == 0, run.said


def test_a_run_that_fails_says_from_what_it_can_go_on(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    path = run.folder / "input.xml"
    checkpoint = "<checkpoint filename='kept' stride='5'/> </output>"
    path.write_text(path.read_text().replace("</output>", checkpoint))
    (run.folder / "RESTART").write_text("from an earlier run")
    os.utime(run.folder / "RESTART", (0, 0))
    run.start()
    run.wait_for_step(12)
    os.kill(run.children()["i-pi"], signal.SIGKILL)
    assert run.wait(20.0) == 1
    found = re.search(r"resume from \S*simulation\.kept\S* \(step (\d+)\)", run.said)
    assert found is not None, run.said
    assert int(found[1]) >= 10
    assert re.search(r"files of an earlier run are kept in \S*backups/1: RESTART", run.said), (
        run.said
    )
    assert (run.folder / "backups/1/RESTART").read_text() == "from an earlier run"


def test_clients_that_join_from_elsewhere_serve_a_run_that_listens(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.start("input.xml", 0, "--others-serve", "--listen", "127.0.0.1")
    run.wait_until((run.folder / "mlobs-run.json").exists)
    other = run.join()
    assert run.wait() == 0, run.said
    _, said = other.communicate(timeout=10.0)
    assert other.returncode == 0, said
    assert "connected to the i-PI server at" in said
    assert run.steps() == list(range(61))
