"""Start i-PI and its drivers as one MPI job, for an input with ``<ffmpi>``.

The drivers are i-PI's own, with our plug-in, which evaluates the client file. There are no sockets,
and no clients to watch. If one of them dies, MPI ends them all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.processes import find_program

PACKAGE: Final = "mlobs[mpi]"
PLUG_IN: Final = "mlobs_pes.py"
"""File in the folder of the input, as for ``<ffdirect>``; ``mlobs init ffmpi`` writes it."""


def check(ipi: IpiInput, clients: Sequence[ClientFile]) -> None:
    """Check that the input and the client files can run as one MPI job.

    Raises:
        LaunchError: there are several client files or no driver, or something is missing.
    """
    if len(clients) != 1 or clients[0].n_processes == 0:
        raise LaunchError(
            f"{ipi.path.name} has an <ffmpi>: all its drivers evaluate one client file; give one, "
            "with -n 1 or more"
        )
    if not (ipi.path.parent / PLUG_IN).exists():
        raise LaunchError(
            f"{ipi.path.parent / PLUG_IN} is missing, but the drivers of <ffmpi> need it; "
            "'mlobs init ffmpi' writes it"
        )
    find_program("mpirun", PACKAGE)


def command(ipi: IpiInput, client: ClientFile, server: Sequence[str]) -> list[str]:
    """Return the command that starts i-PI and all drivers.

    Args:
        ipi: the input.
        client: client file that the drivers evaluate.
        server: the command of i-PI alone.

    Raises:
        LaunchError: MPI is not installed.
    """
    file = os.path.relpath(client.path.absolute(), ipi.path.parent.absolute())
    driver = [find_program("i-pi-driver-py", "ipi"), "--mpi", "-m", "custom", "-P", PLUG_IN]
    processes = ["-n", "1", *server, ":", "-n", str(client.n_processes), *driver]
    return [find_program("mpirun", PACKAGE), *processes, "-o", f"client={file}"]
