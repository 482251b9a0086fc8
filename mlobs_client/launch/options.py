"""Options and outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import Final

from mlobs_client.client.service import ClientFile
from mlobs_client.launch.ending import Ending

EXPLODED: Final = 1e5  # K: no molecules any more


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes:
        others_serve: True if other programs serve the sockets without a client file.
        drivers: command lines of such programs, which are started and ended with the run;
            ``{NAME}`` in them is the address of that <ffsocket>.
        srun: True if Slurm starts the clients, on the nodes of the current allocation.
        listen: name or IPv4 address of this machine to which clients on other machines connect;
            with ``srun``, the name of this machine by default.
        max_temperature: temperature above which the run is stopped, K.
        stall: time without a step after which all clients are restarted, s; None for the default of
            :class:`~mlobs_client.launch.heartbeat.Heartbeat`.
        extends: True if the number of the last step is written into the input, a checkpoint.
        words: command line of the run, for its log.
    """

    others_serve: bool = False
    drivers: Sequence[str] = ()
    srun: bool = False
    listen: str | None = None
    max_temperature: float = EXPLODED
    stall: float | None = None
    extends: bool = False
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of a run that did not fail.

    Attributes:
        ending: finished or stopped.
        reason: i-PI's message on why it stopped.
        signal: signal that stopped it, if any.
        restart: RESTART that this run wrote, if any.
    """

    ending: Ending
    reason: str
    signal: Signals | None
    restart: Path | None


@dataclass(frozen=True)
class Server:
    """The way in which i-PI is started.

    Attributes:
        prefix: string that it puts before the addresses of unix sockets.
        locks: descriptors of the locks of its folders, which it inherits.
        mpi_clients: client files of drivers that are started with it, in one MPI job.
        drivers: words of the other programs, by the names of their processes.
    """

    prefix: str
    locks: Sequence[int]
    mpi_clients: Sequence[ClientFile] = ()
    drivers: Mapping[str, Sequence[str]] = field(default_factory=dict)
