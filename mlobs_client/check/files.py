"""Run all checks of a run, in the order in which a user wants to read them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlobs_client.check.agreement import check_agreement
from mlobs_client.check.finding import Finding, error, errors, ok, split_remedy, warning
from mlobs_client.check.initial_state import PHOTON
from mlobs_client.check.inputs import check_batches, check_input
from mlobs_client.check.ipi_parser import ParsedInput, parse_with_ipi
from mlobs_client.check.magnitudes import check_state
from mlobs_client.check.models import check_model_files
from mlobs_client.check.strides import check_strides
from mlobs_client.check.structures import check_structure
from mlobs_client.client import config as client_file
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.needs import check_needs
from mlobs_client.client.service import ClientFile, find_service
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.progress import Progress, silent


def check_files(
    input_path: Path,
    client_paths: Sequence[Path],
    n_clients: Sequence[int] = (),
    *,
    others_serve: bool = False,
    is_run: bool = False,
) -> Iterator[Finding]:
    """Check an input of i-PI and its client files without loading models.

    Mistakes in the files raise no error: they become findings.

    Args:
        input_path: the XML, or a RESTART.
        client_paths: the client files of the run.
        n_clients: processes for each client file; one by default.
        others_serve: whether other programs serve the sockets that have no client file.
        is_run: True if i-PI is started in the folder of its input, as by ``mlobs run``; if False,
            it may also be started in the current folder.
    """
    yield from _check_files(
        input_path, client_paths, n_clients, others_serve=others_serve, is_run=is_run
    )


@dataclass(frozen=True)
class _Read:
    """Files with which models are tested.

    Attributes:
        clients: client files whose models can be loaded.
        ipi: the input, which sets the digits of written energies; None if it is unreadable.
        start: the input as i-PI reads it, for the forces on its first structure; None if i-PI
            refuses it.
    """

    clients: Sequence[ClientFile]
    ipi: IpiInput | None = None
    start: ParsedInput | None = None


def _check_files(
    input_path: Path,
    client_paths: Sequence[Path],
    n_clients: Sequence[int],
    *,
    others_serve: bool = False,
    is_run: bool = False,
) -> Generator[Finding, None, _Read]:
    clients = yield from _load(client_paths, n_clients)
    whole = yield from _without_lacks(clients)
    try:
        ipi = ipi_input.read(input_path)
    except MlobsError as problem:
        yield from_error(problem)
        return _Read(whole)
    yield from check_input(ipi)
    parsed = yield from _parse(input_path, elsewhere=not is_run)
    yield from _check_start(ipi, parsed)
    n_beads = 0 if parsed is None else parsed.n_beads
    is_complete = len(clients) == len(client_paths)
    yield from check_agreement(
        ipi, clients, n_beads, others_serve=others_serve, is_complete=is_complete
    )
    yield from check_strides(ipi, clients)
    for client in clients:
        yield from _check_structure(ipi, client, parsed)
    return _Read(whole, ipi, parsed)


def _check_start(ipi: IpiInput, parsed: ParsedInput | None) -> Iterator[Finding]:
    """Check the input as i-PI has read it."""
    if parsed is not None:
        for what, remedy, stops in parsed.faults:
            yield error(what, remedy) if stops else warning(what, remedy)
        yield from check_batches(ipi, parsed)
        if parsed.state is not None:
            yield from check_state(ipi, parsed.state)


def _load(
    paths: Sequence[Path], n_clients: Sequence[int] = ()
) -> Generator[Finding, None, list[ClientFile]]:
    """Read the client files that can be read."""
    clients = []
    for path, n in zip(paths, n_clients or [1] * len(paths), strict=True):
        try:
            clients.append(ClientFile(path, client_file.load_config(path), n))
        except MlobsError as problem:
            yield from_error(problem)
    return clients


def _without_lacks(
    clients: Sequence[ClientFile],
) -> Generator[Finding, None, list[ClientFile]]:
    """Return the client files whose models can be loaded; the others would fail after minutes."""
    whole = []
    for client in clients:
        found = list(_find_lacks(client))
        yield from found
        if not errors(found):
            whole.append(client)
    return whole


def _find_lacks(client: ClientFile) -> Iterator[Finding]:
    """Find models, or a folder, that a client file needs but that are missing."""
    try:
        check_needs(client.config)
    except MlobsError as problem:
        yield from_error(ConfigError(f"{client.path}: {problem}"))
    try:
        yield from check_model_files(client)
    except MlobsError as problem:
        yield from_error(problem)
    yield from _misplaced(client)
    observables = client.config.observables
    record = client.path.parent / observables.record_file
    if observables.record and not record.parent.is_dir():
        yield error(
            f"{client.path}: record_file = {observables.record_file!r}: there is no folder "
            f"{record.parent}",
            "create it, or change record_file in [observables]",
        )


def _misplaced(client: ClientFile) -> Iterator[Finding]:
    """Find settings below [potential.parameters] that belong at the top of the client file."""
    for table in client.config.models.values():
        parameters = getattr(table, "parameters", {})
        for name in sorted(set(parameters) & set(ClientConfig.model_fields)):
            yield warning(
                f"{client.path}: {name!r} stands among the parameters of a calculator, where the "
                "setting of the client file with this name has no effect",
                f"move it above the first [table], unless the calculator has a parameter {name!r}",
            )


def _parse(path: Path, *, elsewhere: bool) -> Generator[Finding, None, ParsedInput | None]:
    """Let i-PI read the input in its folder, else (``i-pi data/input.xml``) in the current one."""
    try:
        parsed = parse_with_ipi(path)
    except MlobsError as problem:
        here = Path.cwd()
        if not elsewhere or path.parent.resolve() == here:
            yield from_error(problem)
            return None
        try:
            parsed = parse_with_ipi(path, here)
        except MlobsError:
            yield from_error(problem)
            return None
        yield warning(
            f"the paths in {path} are relative to the folder in which i-PI is started, and it is "
            f"assumed that this is {here}; 'mlobs run' starts i-PI in the folder of its input",
            f"start 'i-pi {path}' here yourself, or copy {path.name} here for 'mlobs run'",
        )
    beads = "bead" if parsed.n_beads == 1 else "beads"
    yield ok(f"i-PI reads {path.name}: {len(parsed.names)} atoms, {parsed.n_beads} {beads}")
    return parsed


def _check_structure(
    ipi: IpiInput, client: ClientFile, parsed: ParsedInput | None
) -> Iterator[Finding]:
    """Compare structures, without the photons of a cavity, which <ffcavphsocket> does not send."""
    service = find_service(ipi, [client])
    n_photons = max((ff.n_photons for ff in ipi.forcefields if ff.name in service), default=0)
    seen = parsed
    if parsed is not None and n_photons > 0:
        n_atoms = len(parsed.names) - n_photons
        photons, names = parsed.names[n_atoms:], parsed.names[:n_atoms]
        if set(photons) != {PHOTON} or PHOTON in names:
            yield error(
                f"<ffcavphsocket> takes the last {n_photons} atoms of {ipi.path.name} for photons, "
                f"but its last labels are {', '.join(parsed.names[-4:])}",
                f"write {n_photons} atoms {PHOTON!r} at the end of the file of <initialize>: 2 "
                "photons for <ph_rep> loose, 1 for dense",
            )
            return
        seen = replace(parsed, names=names, positions=parsed.positions[:n_atoms])
    try:
        yield from check_structure(ipi, seen, client)
    except MlobsError as problem:
        yield from_error(problem)


def check_physics(client_paths: Sequence[Path], say: Progress = silent) -> Iterator[Finding]:
    """Load the models of client files and test them; see :mod:`mlobs_client.check.physics`.

    Args:
        client_paths: the client files.
        say: called with the next activity, and after each of its parts.
    """
    clients = yield from _load(client_paths)
    whole = yield from _without_lacks(clients)
    yield from _check_models(_Read(whole), say)


def _check_models(read: _Read, say: Progress) -> Iterator[Finding]:
    from mlobs_client.check.physics import check_models  # loads torch

    floatformat = None if read.ipi is None else read.ipi.floatformat
    for client in read.clients:
        try:
            yield from check_models(client, floatformat, read.start, say)
        except MlobsError as problem:
            yield from_error(problem)


def check_all(
    input_path: Path,
    client_paths: Sequence[Path],
    n_clients: Sequence[int] = (),
    say: Progress = silent,
) -> Iterator[Finding]:
    """Check the files, then the models; a finding that both checks make is reported once.

    Args:
        input_path: the XML, or a RESTART.
        client_paths: the client files of the run.
        n_clients: processes for each client file; one by default.
        say: called with the next activity, which may take minutes, and after each of its parts.
    """
    said = set()
    for finding in _check_both(input_path, client_paths, n_clients, say):
        if finding.what not in said:
            said.add(finding.what)
            yield finding


def _check_both(
    input_path: Path,
    client_paths: Sequence[Path],
    n_clients: Sequence[int],
    say: Progress,
) -> Iterator[Finding]:
    read = yield from _check_files(input_path, client_paths, n_clients)
    yield from _check_models(read, say)


def from_error(problem: MlobsError) -> Finding:
    """Turn an error, whose text ends with its remedy, into a finding."""
    what, remedy = split_remedy(str(problem))
    return error(what, remedy or "correct what is named here")
