"""A Slurm of three nodes on this machine, for tests: real daemons, in a folder, on the loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("slurmctld", "slurmd", "sbatch", "scontrol")
NODES = ("n1", "n2", "n3")
# Debian's 22.05. Nothing is checked about who says what: it listens to this machine alone.
CONFIGURATION = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=20
InactiveLimit=0
SchedulerParameters=sched_interval=1,bf_interval=1
PropagateResourceLimits=NONE
MailProg=/bin/true
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
NodeName=DEFAULT CPUs=4 RealMemory=1000
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports}] State=UNKNOWN
PartitionName=main Nodes={nodes} Default=YES MaxTime=01:00:00 State=UP
"""


def why_not() -> str:
    """Why there can be no Slurm here; empty if there can."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing:
        return f"no {' '.join(missing)}: apt-get install slurmctld slurmd slurm-client"
    return "" if os.geteuid() == 0 else "slurmd wants to be root"


class Cluster:
    """A Slurm that runs: its commands, and its daemons by the name of their node."""

    def __init__(self, configuration: Path) -> None:
        self.environment = {**os.environ, "SLURM_CONF": str(configuration)}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __call__(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, node: str = "") -> None:
        """Start the daemon of a node, or of the controller."""
        command = ["slurmd", "-D", "-N", node] if node else ["slurmctld", "-D"]
        silent = subprocess.DEVNULL
        self._daemons[node] = subprocess.Popen(
            command, env=self.environment, stdout=silent, stderr=silent
        )

    def kill(self, node: str) -> None:
        self._daemons[node].kill()
        self._daemons[node].wait()

    def end(self) -> None:
        for daemon in self._daemons.values():
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def state(self, job: str) -> str:
        """Such as PENDING, RUNNING, COMPLETED, CANCELLED."""
        words = self("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)["JobState"]

    def wait_for(self, job: str, *states: str, seconds: float = 120.0) -> str:
        deadline = time.monotonic() + seconds
        while (state := self.state(job)) not in states:
            assert time.monotonic() < deadline, self("scontrol", "show", "job", job)
            time.sleep(0.3)
        return state


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start the daemons; end them."""
    for name in ("state", "spool", *(f"spool/{node}" for node in NODES)):
        (folder / name).mkdir()
    first, *ports = _free_ports(1 + len(NODES))
    configuration = folder / "slurm.conf"
    text = CONFIGURATION.format(
        host=socket.gethostname().split(".")[0],
        controller=first,
        folder=folder,
        nodes=f"n[1-{len(NODES)}]",
        ports=",".join(map(str, ports)),
    )
    configuration.write_text(text)
    cluster = Cluster(configuration)
    try:
        for name in ("", *NODES):
            cluster.start(name)
        deadline = time.monotonic() + 60.0
        while _n_idle(cluster) < len(NODES):
            assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()
            time.sleep(0.2)
        yield cluster
    finally:
        cluster.end()


def _n_idle(cluster: Cluster) -> int:
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"],
        env=cluster.environment,
        capture_output=True,
        text=True,
    )
    return len(done.stdout.split())


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(n)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return sorted(int(probe.getsockname()[1]) for probe in probes)
