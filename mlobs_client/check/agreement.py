"""Check that an input of i-PI and its client files agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mlobs_client.check.extras import check_extras
from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.service import ClientFile, Service, find_service, listens
from mlobs_client.ipi.forcefields import Forcefield, find_parent
from mlobs_client.ipi.input import IpiInput
from mlobs_client.quantities import predicted

PRESSURES: Final = ("pressure", "stress", "virial", "vir_")


def check_agreement(
    ipi: IpiInput,
    clients: Sequence[ClientFile],
    n_beads: int,
    *,
    others_serve: bool = False,
    is_complete: bool = True,
) -> Iterator[Finding]:
    """Find where the input and the client files contradict each other.

    Args:
        ipi: the input.
        clients: all client files of the run.
        n_beads: number of beads of the ring polymer.
        others_serve: whether other programs serve the sockets that have no client file.
        is_complete: False if a client file could not be read, so that its sockets are unknown.
    """
    service = find_service(ipi, clients)
    for client in clients:
        yield from _address(ipi, client, service, clients)
        yield from _coupling(ipi, client)
        yield from _virial(ipi, client)
        yield from _kinetic_stress(ipi, client)
    if is_complete:
        yield from _born_charges(ipi, clients)
    for ff in ipi.forcefields:
        if ff.name in service:
            yield from _wrapping(ff, service[ff.name], resumed=ipi.step > 0)
            if ff.matching == "lock" and ff.batch_size == 1 and is_complete and not others_serve:
                yield from _locked(ipi, ff, clients, n_beads)
        elif ff in ipi.sockets and is_complete and not others_serve:
            yield warning(
                f"no client file was given for <ffsocket name='{ff.name}'> at {_place(ff)}",
                "also give its client file; without a client, i-PI waits forever",
            )
    sent = {name: client.extras for name, client in service.items()}
    yield from check_extras(ipi, sent, n_beads, is_complete=is_complete)


def _address(
    ipi: IpiInput, client: ClientFile, service: Service, clients: Sequence[ClientFile]
) -> Iterator[Finding]:
    served = list(find_service(ipi, [client]))
    if served:
        yield ok(f"{client.path.name} serves the forcefield {', '.join(map(repr, served))}")
        yield from _shared(client, [service[name] for name in served])
        return
    socket = client.config.socket
    where = socket.address if socket.mode == "unix" else f"{socket.address} port {socket.port}"
    there = "; ".join(f"{ff.name!r} at {_place(ff)}" for ff in ipi.sockets) or "no <ffsocket>"
    yield error(
        f"[socket] of {client.path.name} is {socket.mode} {where!r}, but {ipi.path.name} has "
        f"{there}",
        f"set mode, address and port in [socket] of {client.path.name} to those of the <ffsocket>",
    )


def _shared(client: ClientFile, last: Sequence[ClientFile]) -> Iterator[Finding]:
    """Compare two client files at one socket: i-PI gives a structure to whichever is free."""
    other = next((one for one in last if one is not client), None)
    if other is None:
        return
    both = f"{client.path} and {other.path} serve the same <ffsocket>"
    if _physics(client.config) == _physics(other.config):
        yield ok(f"{both}, with the same settings for models and observables")
        return
    yield error(
        f"{both}, but their settings differ, and i-PI gives each structure to whichever is free",
        f"leave out one of them (-n starts more processes of the other), or give "
        f"{other.path.name} an <ffsocket> and a <force> of its own",
    )


def _physics(config: ClientConfig) -> dict[str, Any]:
    """Return the settings that change results, not speed; i-PI's structure determines the atoms."""
    speed = {"threads": True, "compile": True, "batch": True, "structure": True, "socket": True}
    tables = {row.table: {"device"} for row in predicted()}
    return config.model_dump(exclude={**speed, **tables, "observables": {"record_file"}})


def _coupling(ipi: IpiInput, client: ClientFile) -> Iterator[Finding]:
    if not ipi.is_driven:
        return
    config = client.config
    if config.coupling is not None:
        table = config.coupling_table
        yield error(
            f"the field would be coupled twice: by {table} in {client.path.name} and by "
            f"driven_dynamics in {ipi.path.name}",
            f"remove {table} (time-dependent field) or use <motion mode='dynamics'> (static field)",
        )


def _born_charges(ipi: IpiInput, clients: Sequence[ClientFile]) -> Iterator[Finding]:
    if not (clients and ipi.is_driven and ipi.takes_born_charges):
        return
    sending = [client for client in clients if "BEC" in client.extras]
    if not sending:
        name = clients[0].path.name
        yield error(
            f"driven_dynamics takes the Born charges from the client (<bec mode='driver'>), but "
            f"{name} does not send them",
            f'add "born_charges" to [observables] extras of {name}',
        )
    elif not ipi.writes_asr_threshold and sending[0].config.observables.sum_rule is None:
        yield warning(
            "asr_threshold has its default 1e-8, below the rounding errors of most models: "
            "i-PI stops when the sum of the Born charges exceeds it",
            f'write sum_rule = "restore" into [observables] of {sending[0].path.name}, or '
            "<asr_threshold> 1e-6 </asr_threshold> into <driven_dynamics>",
        )


def _locked(
    ipi: IpiInput, ff: Forcefield, clients: Sequence[ClientFile], n_beads: int
) -> Iterator[Finding]:
    """Check that there is a client for each bead of each force and system."""
    prefix = ipi.sockets_prefix
    there = sum(one.n_processes for one in clients if listens(ff, one.config.socket, prefix))
    parent = find_parent(ff.name, ipi.forcefields)
    names = (ff.name, "" if parent is None else parent.name)
    beads = [force.n_beads or n_beads for force in ipi.forces if force.forcefield in names]
    needed = sum(beads) * len(ipi.system_prefixes)
    if there < needed:
        yield error(
            f"<ffsocket name='{ff.name}' matching='lock'> needs one client for each bead: "
            f"{needed}, but {there} are started (-n {there}), and i-PI would wait forever",
            f"start {needed} clients (-n {needed}), or write matching='auto'",
        )


def _virial(ipi: IpiInput, client: ClientFile) -> Iterator[Finding]:
    if client.config.virial != "none":
        return
    modes = ipi.barostatted
    if modes:
        yield error(
            f'virial = "none" in {client.path.name}, but dynamics mode={modes[0]!r} needs a virial',
            "use models with a strain derivative, or an ensemble at constant volume",
        )
    names = [name for output in ipi.properties for name in output.names]
    pressures = [name for name in names if name.startswith(PRESSURES)]
    if pressures and not modes:
        yield warning(
            f'virial = "none" in {client.path.name}, so the property {pressures[0]!r} lacks the '
            "contribution of the potential and has no meaning",
            f"remove it from <properties> in {ipi.path.name}",
        )


def _kinetic_stress(ipi: IpiInput, client: ClientFile) -> Iterator[Finding]:
    """Warn about i-PI's kinetic stress, which is diagonal, unlike that of currents in a field."""
    if client.config.coupling is None or "anisotropic" not in ipi.barostats:
        return
    if "nst" in ipi.dynamics:
        yield warning(
            "dynamics mode='nst' with <barostat mode='anisotropic'> leaves out the off-diagonal "
            f"kinetic stress (i-PI 3.3.1, get_kstress): with the field of "
            f"{client.path.name}, 'conserved' oscillates by about 1e-3 Hartree at any time step",
            "use dynamics mode='npt' with <barostat mode='isotropic'>, or constant volume; judge "
            "the time step without the field",
        )


def _wrapping(ff: Forcefield, client: ClientFile, *, resumed: bool) -> Iterator[Finding]:
    config = client.config
    numbers = None if config.dipole is None else config.dipole.oxidation_numbers
    multivalued = bool(numbers) and numbers != "none"
    if not multivalued and config.coupling is None:
        return
    reason = "a multi-valued dipole" if multivalued else "the energy in a field"
    tag = f"<{ff.kind} name='{ff.name}'>"
    if ff.pbc:
        yield error(
            f"{tag} has pbc='True' and wraps positions, but {reason} ({client.path.name}) is a "
            "function of unwrapped ones: it would jump whenever an atom crosses the boundary",
            f"write pbc='False' in {tag}",
        )
    elif ff.pbc is None and not resumed:  # a RESTART leaves out what is the default
        yield warning(
            f"{tag} does not set pbc='False'; older versions of i-PI then wrap positions, and "
            f"{reason} ({client.path.name}) would jump",
            f"write pbc='False' in {tag}",
        )
    else:
        yield ok(f"{tag} sends unwrapped positions")


def _place(ff: Forcefield) -> str:
    if ff.mode == "inet":
        return f"inet {ff.address!r} port {ff.port}"
    return f"{ff.mode} {ff.address!r}"
