"""``mlobs run`` with the real i-PI: clean ends, and what happens when something dies."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ipi_runs import SLOW_SPRING, WATER, make_input

from mlobs_client.outputs import read_bead_extras

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'> [ step, temperature{kelvin}, conserved ] </properties>
    <trajectory filename='dipole' extra_type='dipole'> extras </trajectory>
  </output>"""
SOCKET = (
    "<ffsocket name='mlobs' mode='unix' pbc='False'> <address> {address} </address> </ffsocket>"
)
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
address = "{address}"
[potential]
kind = "ase"
calculator = "slow_spring.Spring"
parameters = {{ seconds = {seconds}, fails_after = {fails_after} }}
[dipole]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""


class Run:
    """One ``mlobs run`` in a folder of its own."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "slow_spring.py").write_text(SLOW_SPRING)
        (folder / "init.xyz").write_text(WATER)

    def prepare(self, steps: int, seconds: float = 0.0, fails_after: int = -1) -> None:
        client = CLIENT.format(address=self.address, seconds=seconds, fails_after=fails_after)
        (self.folder / "client.toml").write_text(client)
        socket = SOCKET.format(address=self.address)
        (self.folder / "input.xml").write_text(make_input(OUTPUT, socket, steps))

    def evaluate_every_fifth_step(self) -> None:
        """The dipole only; i-PI stops where it shall write one that it has not got."""
        client, xml = self.folder / "client.toml", self.folder / "input.xml"
        client.write_text(client.read_text() + "every = 5\n")
        batch = "</address> <batch_size> 2 </batch_size>"  # both beads
        text = xml.read_text().replace("extra_type='dipole'", "stride='5' extra_type='dipole'")
        xml.write_text(text.replace("</address>", batch))

    def start(self, file: str = "input.xml", n_clients: int = 1, *options: str) -> None:
        command = [sys.executable, "-m", "mlobs_client", "run", file, "client.toml", "--no-check"]
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-n", str(n_clients), *options],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdout=log,
                stderr=log,
            )

    def wait(self, seconds: float = 40.0) -> int:
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.said) from None

    @property
    def said(self) -> str:
        """What the command said, without its line breaks."""
        return " ".join((self.folder / "run.log").read_text().split())

    @property
    def socket(self) -> str:
        """Where i-PI listens."""
        pid = self.children()["i-pi"]
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return words[words.index("-S") + 1] + self.address

    def children(self) -> dict[str, int]:
        """The running children: ``i-pi`` or the name of the client, and its pid."""
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        found = {}
        for pid in map(int, listed.split()):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
            found[words[-1] if "client" in words else "i-pi"] = pid
        return found

    def command_of(self, name: str) -> list[str]:
        """The words with which a child was started; none while it is not running."""
        pid = self.children().get(name)
        return [] if pid is None else Path(f"/proc/{pid}/cmdline").read_text().split("\0")

    def steps(self) -> list[int]:
        """The steps in i-PI's properties."""
        path = self.folder / "simulation.out"
        return np.loadtxt(path, ndmin=2)[:, 0].astype(int).tolist() if path.exists() else []

    def wait_until(self, claim: Callable[[], bool], seconds: float = 60.0) -> None:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while not claim():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_for_step(self, step: int) -> None:
        self.wait_until(lambda: max(_complete_steps(self.folder), default=-1) >= step)


def _complete_steps(folder: Path) -> list[int]:
    path = folder / "simulation.out"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]


@pytest.fixture
def run(tmp_path: Path, unix_address: str) -> Iterator[Run]:
    run = Run(tmp_path, unix_address)
    yield run
    if run.process is not None and run.process.poll() is None:
        children = run.children()
        run.process.kill()
        run.process.wait()
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


def test_a_run_to_the_end_exits_zero_and_leaves_nothing_running(run: Run) -> None:
    run.prepare(steps=6)
    run.start(n_clients=2)
    assert run.wait() == 0, run.said
    assert "finished: all 6 steps are done" in run.said
    assert run.steps() == [0, 1, 2, 3, 4, 5, 6]
    assert "said EXIT" in (run.folder / "client-1.log").read_text()
    assert list(Path("/tmp").glob(f"*/{run.address}")) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_restart_and_says_how_to_go_on(run: Run, signum: signal.Signals) -> None:
    run.prepare(steps=60, seconds=0.02)
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
    run.prepare(steps=60, seconds=0.02)
    path = run.folder / "input.xml"
    checkpoint = "<checkpoint filename='kept' stride='5'/> </output>"
    path.write_text(path.read_text().replace("</output>", checkpoint))
    run.start("input.xml", 1, "--resume")
    run.wait_for_step(12)
    assert run.process is not None
    for pid in (run.process.pid, *run.children().values()):
        os.kill(pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert "going on from" not in run.said
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    assert re.search(r"going on from simulation\.kept_?\d* \(step 1\d\)", run.said), run.said
    steps = read_bead_extras(run.folder / "simulation.dipole").steps
    assert steps.tolist() == list(range(61))
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    assert "finished: all 60 steps are done (RESTART)" in run.said


def test_an_ipi_that_outlives_its_run_is_not_joined_by_another(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    run.start()
    run.wait_for_step(2)
    assert run.process is not None
    children = run.children()
    run.process.kill()
    run.wait()
    try:
        run.start("input.xml", 1, "--resume")
        assert run.wait() == 1
        assert "or the i-PI of one that was killed" in run.said
    finally:
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)


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
    vanish_with_an_unread_request(run.socket)
    assert run.wait() == 0, run.said
    assert "going on from RESTART" in run.said
    assert run.steps() == list(range(101))


def test_a_client_of_a_second_ipi_is_told_the_step_of_the_restart(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.evaluate_every_fifth_step()
    run.start()
    run.wait_for_step(2)
    os.kill(run.children()["client-0"], signal.SIGTERM)  # the next request is for somebody else
    vanish_with_an_unread_request(run.socket)
    run.wait_until(lambda: "going on from RESTART" in run.said)
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
    assert "every has no effect" in (run.folder / "client-0.log").read_text()
    assert read_bead_extras(run.folder / "simulation.dipole").steps.tolist() == [*range(0, 41, 5)]


def vanish_with_an_unread_request(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.connect(path)
        rude.settimeout(30.0)
        while b"POSDATA" not in rude.recv(64, socket.MSG_PEEK):
            said = rude.recv(64)
            ready = said.startswith(b"INIT")
            rude.sendall((b"READY" if ready else b"NEEDINIT").ljust(12))
        time.sleep(0.1)  # until i-PI waits for an answer: while it sends, it notices that we go


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
    run.prepare(steps=60, seconds=0.02)
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
    assert "another 'mlobs run' works in" in second.stderr
    assert run.wait() == 0, run.said


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


def test_a_run_that_fails_says_from_what_it_can_go_on(run: Run) -> None:
    run.prepare(steps=1000, seconds=0.02)
    path = run.folder / "input.xml"
    checkpoint = "<checkpoint filename='kept' stride='5'/> </output>"
    path.write_text(path.read_text().replace("</output>", checkpoint))
    (run.folder / "RESTART").write_text("of an earlier run")
    os.utime(run.folder / "RESTART", (0, 0))
    run.start()
    run.wait_for_step(12)
    os.kill(run.children()["i-pi"], signal.SIGKILL)
    assert run.wait(20.0) == 1
    found = re.search(r"resume from \S*simulation\.kept\S* \(step (\d+)\)", run.said)
    assert found is not None, run.said
    assert int(found[1]) >= 10
    assert "RESTART is of an earlier run, and is kept as #RESTART#0#" in run.said


def test_a_client_that_does_not_answer_any_more_is_replaced(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.start("input.xml", 1, "--stall", "3")
    run.wait_for_step(2)
    os.kill(run.children()["client-0"], signal.SIGSTOP)
    assert run.wait() == 0, run.said
    assert "all clients are replaced" in run.said
    assert run.steps() == list(range(61))


def test_clients_that_join_from_elsewhere_serve_a_run_that_listens(run: Run) -> None:
    run.prepare(steps=60, seconds=0.02)
    run.start("input.xml", 0, "--others-serve", "--listen", "127.0.0.1")
    run.wait_until((run.folder / "mlobs-run.json").exists)
    command = [sys.executable, "-m", "mlobs_client", "client", "client.toml"]
    other = subprocess.Popen(
        [*command, "--join", "mlobs-run.json", "-v"],
        cwd=run.folder,
        env={**os.environ, "PYTHONPATH": str(run.folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.wait() == 0, run.said
    _, said = other.communicate(timeout=10.0)
    assert other.returncode == 0, said
    assert "connected to the i-PI server at" in said
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
    assert "client.toml is another file than at the start of this run" in run.said
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
    command = [sys.executable, "-m", "mlobs_client", "client", "client.toml"]
    other = subprocess.Popen(
        [*command, "--join", "mlobs-run.json"],
        cwd=run.folder,
        env={**os.environ, "PYTHONPATH": str(run.folder)},
    )
    run.wait_for_step(2)
    other.kill()
    other.wait()
    assert run.wait() == 1
    assert "there are no clients of ours to be replaced" in run.said
    assert "resume from RESTART" in run.said
