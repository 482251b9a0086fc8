"""``mlobs run --driver``: a driver of i-PI's own serves one socket, our client the other one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from running import SOCKET, Run, is_alive

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")

DRIVER = "i-pi-py_driver -u -m harmonic -o 1e-3 -a {springs}"
SPRINGS = "<ffsocket name='springs' mode='unix'> <address> springs </address> </ffsocket>"


def prepare(run: Run, steps: int) -> None:
    """Two sockets; the springs of i-PI's driver add to our forces."""
    run.prepare(steps, seconds=0.02)
    path = run.folder / "input.xml"
    socket = SOCKET.format(address=run.address)
    text = path.read_text().replace(socket, f"{socket} {SPRINGS}")
    both = "<force forcefield='mlobs'/> <force forcefield='springs'/>"
    path.write_text(text.replace("<force forcefield='mlobs'/>", both))


def pid_of_driver(run: Run) -> int:
    """A child that is neither i-PI nor a client; i-PI's driver is a script of Python, too."""
    assert run.process is not None
    path = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
    return next(
        pid
        for pid in map(int, path.read_text().split())
        if b"i-pi-py_driver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_a_program_that_is_killed_is_started_again_and_all_end_together(run: Run) -> None:
    prepare(run, steps=60)
    run.start("input.xml", 1, "--driver", DRIVER)
    run.wait_for_step(2)
    first = pid_of_driver(run)
    os.kill(first, signal.SIGKILL)
    run.wait_until(lambda: "it is started again" in run.said)
    assert run.wait() == 0, run.said
    assert "i-pi-py_driver-0 ended before i-PI: killed by SIGKILL" in run.said
    assert run.steps() == list(range(61))
    assert (run.folder / "i-pi-py_driver-0.log").exists()
    assert not is_alive(first)


def test_runs_with_the_same_input_do_not_meet(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Run(tmp_path / "other", run.address)
    for one in (run, other):
        prepare(one, steps=40)
        one.start("input.xml", 1, "--driver", DRIVER)
    for one in (run, other):
        assert one.wait() == 0, one.said
        assert one.steps() == list(range(41))


def test_a_program_of_a_fixed_address_is_met_there(run: Run) -> None:
    prepare(run, steps=5)
    path = run.folder / "input.xml"
    name = f"{run.address}-springs"
    path.write_text(path.read_text().replace(" springs </address>", f" {name} </address>"))
    run.start("input.xml", 1, "--driver", DRIVER.replace("{springs}", name))
    assert run.wait() == 0, run.said
    assert run.steps() == list(range(6))


def test_a_program_that_cannot_work_ends_the_run_with_its_reason(run: Run) -> None:
    prepare(run, steps=5)
    run.start("input.xml", 1, "--driver", "sh -c 'echo no licence >&2; exit 3'")
    assert run.wait() == 1
    assert "died 5 times" in run.said
    assert "sh-0 ended before i-PI: no licence" in run.said


def test_what_a_program_has_started_ends_with_it(run: Run) -> None:
    prepare(run, steps=1000)
    (run.folder / "wrapped.sh").write_text(
        f"#!/bin/sh\n{DRIVER.replace('{springs}', '$1')} &\nsleep 1000 &\necho $! > pid\nwait\n"
    )
    (run.folder / "wrapped.sh").chmod(0o755)
    run.start("input.xml", 1, "--driver", "./wrapped.sh {springs}")
    run.wait_for_step(2)
    assert run.process is not None
    run.process.terminate()
    assert run.wait() == 128 + signal.SIGTERM
    assert not is_alive(int((run.folder / "pid").read_text()))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("no-such-program -in lammps.in", "no such program; give its path, or set PATH"),
        ("./no-such-program", "no such program; give its path, or set PATH"),
        ("sleep '1", "No closing quotation"),
        ("", "it names no program"),
        ("sleep {sprigns}", "has no <ffsocket name='sprigns'>; it has 'mlobs', 'springs'"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_before_anything_starts(
    run: Run, words: str, reason: str
) -> None:
    prepare(run, steps=5)
    run.start("input.xml", 1, "--driver", words)
    assert run.wait() == 1
    assert reason in run.said
    assert not (run.folder / "i-pi.log").exists()
