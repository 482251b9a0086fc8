"""Read the command lines of drivers of other programs, which start and end with the run."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mlobs_client.client.service import ClientFile, find_service
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import PREFIX, IpiInput
from mlobs_client.launch.processes import search_path

_PLACEHOLDER: Final = re.compile(r"\{([\w-]+)\}")


def read_commands(commands: Sequence[str], ipi: IpiInput) -> list[list[str]]:
    """Split command lines into words, as a shell does.

    Args:
        commands: command lines; ``{NAME}`` in them stands for the address of that <ffsocket>.
        ipi: the input.

    Raises:
        LaunchError: there is no such program or socket, or the quotes do not match.
    """
    return [_read(command, ipi) for command in commands]


def _read(command: str, ipi: IpiInput) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LaunchError(f"--driver {command!r}: {error}") from error
    if not words:
        raise LaunchError("--driver '': it names no program")
    # with a slash, a path as seen from the folder in which the program will run
    program = ipi.path.parent.absolute() / words[0] if "/" in words[0] else words[0]
    if shutil.which(program, path=search_path()) is None:
        raise LaunchError(f"--driver {command!r}: no such program; give its path, or set PATH")
    names = [ff.name for ff in ipi.sockets]
    for name in _PLACEHOLDER.findall(command):
        if name not in names:
            raise LaunchError(
                f"--driver {command!r}: {ipi.path.name} has no <ffsocket name={name!r}>; it has "
                f"{', '.join(map(repr, names)) or 'none at all'}"
            )
    return words


def names_all(commands: Sequence[str], ipi: IpiInput, clients: Sequence[ClientFile]) -> bool:
    """Return whether the commands name every unix socket that no client file serves.

    If so, no address has to be known beforehand, and runs with the same input do not interfere.
    """
    service = find_service(ipi, clients)
    told = {name for command in commands for name in _PLACEHOLDER.findall(command)}
    foreign = {ff.name for ff in ipi.sockets if ff.mode != "inet" and ff.name not in service}
    return told >= foreign


def name_drivers(
    commands: Sequence[list[str]], ipi: IpiInput, prefix: str, taken: Mapping[str, object]
) -> dict[str, list[str]]:
    """Name the processes to start, PROGRAM-0, PROGRAM-1 ..., and insert the addresses.

    Args:
        commands: the words of each command line.
        ipi: the input.
        prefix: string that i-PI puts before the addresses of unix sockets.
        taken: names that are in use.
    """
    addresses = {ff.name: ff.address for ff in ipi.sockets}
    for ff in ipi.sockets:
        if ff.mode != "inet":  # programs put i-PI's default before what they are given
            addresses[ff.name] = f"{prefix}{ff.address}".removeprefix(PREFIX)
    named: dict[str, list[str]] = {}
    for words in commands:
        names = (f"{Path(words[0]).stem}-{i}" for i in itertools.count())
        name = next(name for name in names if name not in named and name not in taken)
        named[name] = [_PLACEHOLDER.sub(lambda found: addresses[found[1]], word) for word in words]
    return named
