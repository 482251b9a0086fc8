"""What a run is told, and what it tells in the end."""

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
class Options:
    """What a run may be told.

    Attributes:
        others_serve: sockets without a client file are served by other programs.
        beside: command lines of such programs, which are started and ended with the run;
            ``{NAME}`` in them is the address of this <ffsocket>.
        srun: clients are started by Slurm, on the nodes of the allocation that we are in.
        listen: name or IPv4 address of this machine where clients from elsewhere may come in;
            with ``srun`` the name of this machine by default.
        max_temperature: K; the run is stopped beyond.
        stall: seconds without a step after which all clients are replaced; None: as
            :class:`~mlobs_client.launch.heartbeat.Heartbeat` finds right.
    """

    others_serve: bool = False
    beside: Sequence[str] = ()
    srun: bool = False
    listen: str | None = None
    max_temperature: float = EXPLODED
    stall: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended, when it did not fail.

    Attributes:
        ending: finished or stopped.
        reason: why it stopped, in i-PI's words.
        signal: that stopped it, if any.
        restart: the RESTART that this run wrote, if any.
    """

    ending: Ending
    reason: str
    signal: Signals | None
    restart: Path | None


@dataclass(frozen=True)
class Server:
    """How i-PI is started.

    Attributes:
        prefix: what it puts before the addresses of unix sockets.
        locks: descriptors of the locks of its folders, which it shall hold, too.
        drivers: client files of drivers that are started with it, in one MPI job.
        beside: words of the other programs, by the names of their processes.
    """

    prefix: str
    locks: Sequence[int]
    drivers: Sequence[ClientFile] = ()
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)
