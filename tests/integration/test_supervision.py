"""``mlobs run`` with the real i-PI, where somebody dies, falls silent, or goes astray."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from running import Run, is_alive

from mlobs_client.ipi import read_bead_extras
from mlobs_client.launch.supervision import POLL_THREAD_DIED

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


def test_a_client_that_is_killed_is_replaced_and_the_run_finishes(run: Run) -> None:
    run.prepare(steps=30, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    os.kill(run.children()["client-0"], signal.SIGKILL)
    assert run.wait() == 0, run.said
    assert "client-0 died (killed by SIGKILL) and is started again" in run.said
    assert run.steps() == list(range(31))


def test_a_client_that_vanishes_with_an_unread_request_does_not_stop_the_run(run: Run) -> None:
    # it resets the connection, which ends the thread of i-PI 3.3.1 that talks to clients
    run.prepare(steps=100, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    vanish_with_an_unread_request(run)
    assert run.wait() == 0, run.said
    assert "continuing from RESTART" in run.said
    assert run.steps() == list(range(101))


def test_a_client_of_a_second_ipi_is_told_the_step_of_the_restart(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.evaluate_every_fifth_step()
    run.start()
    run.wait_for_step(2)
    vanish_with_an_unread_request(run)
    run.wait_until(lambda: "continuing from RESTART" in run.said)
    run.wait_until(lambda: "--step" in run.command_of("client-0"))
    assert run.wait() == 0, run.said
    assert read_bead_extras(run.folder / "simulation.dipole").steps.tolist() == [*range(0, 61, 5)]


def test_a_client_that_is_replaced_is_told_no_step(run: Run) -> None:
    run.prepare(steps=40, seconds=0.02)
    run.evaluate_every_fifth_step()
    run.start()
    run.wait_for_step(2)
    os.kill(run.children()["client-0"], signal.SIGTERM)
    assert run.wait() == 0, run.said
    assert "stride has no effect" in (run.folder / "client-0.log").read_text()
    assert read_bead_extras(run.folder / "simulation.dipole").steps.tolist() == [*range(0, 41, 5)]


def vanish_with_an_unread_request(run: Run) -> None:
    """In place of client-0, which goes, and comes again when that has been done."""
    assert run.process is not None
    client, path = run.children()["client-0"], run.socket
    run.process.send_signal(signal.SIGSTOP)  # it would start another client-0
    try:
        while POLL_THREAD_DIED not in (run.folder / "i-pi.log").read_text():
            with socket.socket(socket.AF_UNIX) as rude:
                rude.connect(path)
                if is_alive(client):
                    rude.recv(12, socket.MSG_PEEK)  # i-PI has let us in
                    os.kill(client, signal.SIGTERM)
                take_a_request(rude)
                time.sleep(0.1)  # until i-PI waits: while it sends, it notices that we go
            time.sleep(1.0)  # for i-PI, to say so
    finally:
        run.process.send_signal(signal.SIGCONT)


def take_a_request(rude: socket.socket) -> None:
    rude.settimeout(30.0)
    while b"POSDATA" not in rude.recv(64, socket.MSG_PEEK):
        said = rude.recv(64)
        ready = said.startswith(b"INIT")
        rude.sendall((b"READY" if ready else b"NEEDINIT").ljust(12))


def test_a_client_that_cannot_start_ends_all_at_once_with_its_message(run: Run) -> None:
    run.prepare(steps=10)
    path = run.folder / "client.toml"
    path.write_text(path.read_text().replace("slow_spring.Spring", "slow_spring.Sprint"))
    run.start()
    assert run.wait() == 1
    assert "client-0 cannot start:" in run.said
    assert "Sprint" in run.said
    assert "started again" not in run.said


def test_clients_that_die_of_the_same_error_end_the_run_with_it(run: Run) -> None:
    run.prepare(steps=1000, fails_after=5)
    run.start(n_clients=2)
    assert run.wait() == 1
    assert re.search(r"died 5 times in \d+ s: energy is nan", run.said), run.said
    assert len(ase.io.read(run.folder / "refused.xyz", ":")) == 1
    assert run.said.count("started again") == 4


def test_a_run_that_blows_up_is_stopped_with_its_outputs(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    path = run.folder / "input.xml"
    path.write_text(path.read_text().replace("> 300 <", "> 1e7 <"))
    run.start()
    assert run.wait() == 1
    assert "more than --max-temperature 100000: the simulation has blown up" in run.said
    assert (run.folder / "RESTART-blown-up").exists()
    assert not (run.folder / "RESTART").exists()
    assert 0 < len(run.steps()) < 1000


def test_a_client_that_does_not_answer_any_more_is_replaced(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.start("input.xml", 1, "--stall", "3")
    run.wait_for_step(2)
    os.kill(run.children()["client-0"], signal.SIGSTOP)
    assert run.wait() == 0, run.said
    assert "all clients are replaced" in run.said
    assert run.steps() == list(range(61))


def test_a_client_that_ipi_sends_away_for_its_silence_comes_back(run: Run) -> None:
    run.prepare(steps=40, seconds=0.05)
    path = run.folder / "input.xml"
    path.write_text(path.read_text().replace("</address>", "</address> <timeout> 2 </timeout>"))
    run.start()
    run.wait_for_step(2)
    client = run.children()["client-0"]
    os.kill(client, signal.SIGSTOP)
    time.sleep(3.0)
    os.kill(client, signal.SIGCONT)
    assert run.wait(60.0) == 0, run.said
    assert "i-PI has sent client-0 away" in run.said
    assert run.steps() == list(range(41))


def test_a_client_is_not_replaced_by_one_that_would_give_other_numbers(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    client = run.folder / "client.toml"
    client.write_text(client.read_text().replace("seconds = 0.02", "seconds = 0.0"))
    os.kill(run.children()["client-0"], signal.SIGKILL)
    assert run.wait() == 1
    assert "client.toml has changed since the start of this run" in run.said
    assert "resume from" in run.said


def test_a_force_beyond_its_limit_ends_the_run_before_ipi_gets_it(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    client, path = run.folder / "client.toml", run.folder / "input.xml"
    client.write_text(client.read_text() + "[limits]\nforce = 1.5\n")
    path.write_text(path.read_text().replace("> 300 <", "> 30000 <"))
    run.start()
    assert run.wait() == 1
    assert re.search(r"died 5 times in \d+ s: the force on atom \d is", run.said), run.said
    assert "resume from RESTART" in run.said
    forces = np.linalg.norm(ase.io.read(run.folder / "refused.xyz").positions, axis=1)
    assert forces.max() > 1.5  # springs of 1 eV/angstrom^2 to the origin


def test_a_run_whose_files_get_out_of_reach_stops_with_a_restart(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    (run.folder / "i-pi.log").rename(run.folder / "gone.log")
    assert run.wait() == 1
    assert "Traceback" not in run.said
    assert "No such file or directory" in run.said
    assert (run.folder / "RESTART").exists()


def test_a_run_that_only_others_serve_does_not_wait_for_them_for_ever(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    run.start("input.xml", 0, "--others-serve", "--listen", "127.0.0.1", "--stall", "3")
    run.wait_until((run.folder / "mlobs-run.json").exists)
    other = run.join()
    run.wait_for_step(2)
    other.kill()
    other.communicate()
    assert run.wait() == 1
    assert "there are no clients of this run to restart" in run.said
    assert "resume from RESTART" in run.said
