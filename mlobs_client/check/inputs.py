"""Check an input of i-PI by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from mlobs_client.check.digits import check_restart
from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.check.ipi_parser import ParsedInput
from mlobs_client.ipi.forcefields import Forcefield
from mlobs_client.ipi.input import PREFIX, PRIVATE, IpiInput

# Without driven_dynamics these end the run when they are written for the first time.
# Source: i-PI 3.3.1, engine/properties.py
DRIVEN_PROPERTIES: Final = frozenset({"dipole", "Efield", "Eenvelope", "interaction_energy"})
# These are written nevertheless, full of this.
DRIVEN_TRAJECTORIES: Final = {"becx": "NaN", "becy": "NaN", "becz": "NaN", "Eforces": "zeros"}

LONGEST_PATH: Final = 107
"""Longest path of a unix socket on Linux, bytes; the last of 108 is a zero."""


def check_input(ipi: IpiInput) -> Iterator[Finding]:
    """Find mistakes that do not depend on the clients."""
    yield from _names(ipi)
    yield from _addresses(ipi)
    yield from _driven(ipi)
    yield from check_restart(ipi)
    yield from _without_weight(ipi)
    if ipi.total_steps <= ipi.step:
        yield error(
            f"{ipi.path.name} is at step {ipi.step} and total_steps is {ipi.total_steps}: "
            "i-PI will not start",
            f"raise <total_steps> in {ipi.path.name}",
        )


def _without_weight(ipi: IpiInput) -> Iterator[Finding]:
    """Warn about forces of weight 0 that no output shows."""
    for index, force in enumerate(force for force in ipi.forces if not force.biases):
        if force.weight == 0.0 and index not in ipi.components:
            yield warning(
                f"<force forcefield='{force.forcefield}' weight='0'> moves nothing, i-PI drops its "
                "extras, and no output shows it",
                f"write pot_component_raw({index}) into <properties>, "
                f"forces_component_raw({index}) or extras_component_raw({index}) into a "
                "<trajectory>, or remove it",
            )


def check_batches(ipi: IpiInput, parsed: ParsedInput) -> Iterator[Finding]:
    """Find batches that never fill."""
    for ff in ipi.sockets:
        forces = [force for force in ipi.forces if force.forcefield == ff.name]
        beads = [force.n_beads or parsed.n_beads for force in forces]
        if beads and ff.batch_size > max(beads):
            yield warning(
                f"<batch_size> {ff.batch_size} of <ffsocket name='{ff.name}'> is larger than the "
                f"number of beads, {max(beads)}: no batch is ever full, and one client does all "
                "the work",
                f"set <batch_size> to beads / clients, at most {max(beads)}",
            )


def _names(ipi: IpiInput) -> Iterator[Finding]:
    known = [ff.name for ff in ipi.forcefields]
    used = {force.forcefield for force in ipi.forces}
    for name in sorted({name for name in known if known.count(name) > 1}):
        yield error(f"two forcefields are called {name!r}", "give each <ff...> its own name=")
    for name in sorted(used - set(known)):
        yield error(
            f"<force forcefield='{name}'> names no forcefield; defined: {_quoted(known)}",
            "write one of these names in <forces>, or add the <ffsocket>",
        )
    if not used:
        yield error(
            "there is no <force> in <forces>, so nothing moves the atoms",
            "add <force forcefield='NAME'/> for each forcefield that should act",
        )
    # the members of <ffcommittee> are used through it
    for name in sorted(set(known) - used) if not ipi.is_composed else ():
        yield warning(f"no <force> uses the forcefield {name!r}", "add it to <forces> or remove it")
    if used and used <= set(known):
        yield ok(f"all forcefields of <forces> are defined: {_quoted(sorted(used))}")


def _addresses(ipi: IpiInput) -> Iterator[Finding]:
    seen: dict[tuple[str, str | int], str] = {}
    for ff in ipi.sockets:
        place = (ff.mode, ff.port) if ff.mode == "inet" else ("unix", ff.address)
        if place in seen:
            yield error(
                f"the sockets of {seen[place]!r} and {ff.name!r} are both at {place[1]}",
                "give each <ffsocket> its own <address> or <port>",
            )
        seen[place] = ff.name
        if ff.mode != "inet":
            yield from _length(ipi, ff)
        if ff.mode == "shm":
            yield warning(
                f"<ffsocket name='{ff.name}' mode='shm'> uses shared memory, which 'mlobs client' "
                "does not",
                "write mode='unix', or use i-pi-driver-py with the plug-in drivers/mlobs_pes.py",
            )


def _length(ipi: IpiInput, ff: Forcefield) -> Iterator[Finding]:
    """Check the path length of a socket: i-PI prepends its prefix, ``mlobs run`` a folder."""
    length = len(os.fsencode(ff.address))
    longest = LONGEST_PATH - len(os.fsencode(ipi.sockets_prefix))
    in_folder = LONGEST_PATH - len(f"{PREFIX}{PRIVATE}01234567/")
    what = f"<address> of <ffsocket name='{ff.name}'> has {length} characters"
    if length > longest:
        yield error(
            f"{what}, and with {ipi.sockets_prefix!r} before it the path of a socket would have "
            f"more than {LONGEST_PATH}",
            f"write an address of at most {min(longest, in_folder)} characters into "
            f"{ipi.path.name} and [socket] of the client file",
        )
    elif length > in_folder and not ipi.is_composed:
        yield warning(
            f"{what}: i-PI itself can listen there, but 'mlobs run' puts a folder before it, and "
            f"the path of a socket would have more than {LONGEST_PATH}",
            f"write an address of at most {in_folder} characters into {ipi.path.name} and "
            "[socket] of the client file",
        )


def _driven(ipi: IpiInput) -> Iterator[Finding]:
    if ipi.is_driven:
        return
    for properties in ipi.properties:
        for name in sorted(DRIVEN_PROPERTIES.intersection(properties.names)):
            yield error(
                f"the property {name!r} exists only with driven_dynamics and stops any other run",
                f"remove it from <properties filename='{properties.filename}'>; the dipole of the "
                "client is in its extras: <trajectory extra_type='dipole'> extras </trajectory>",
            )
    for trajectory in ipi.trajectories:
        if trajectory.what in DRIVEN_TRAJECTORIES:
            yield warning(
                f"{trajectory.what!r} exists only with driven_dynamics; here, i-PI writes only "
                f"{DRIVEN_TRAJECTORIES[trajectory.what]}",
                f"remove <trajectory filename='{trajectory.filename}'>",
            )


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
