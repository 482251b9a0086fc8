"""All checks of one run, in the order in which a user wants to read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlobs_client import config as client_file
from mlobs_client.check import ipi_input
from mlobs_client.check.agreement import ClientFile, check_agreement
from mlobs_client.check.finding import Finding, error, ok
from mlobs_client.check.inputs import check_batches, check_input
from mlobs_client.check.ipi_parser import parse_with_ipi
from mlobs_client.check.strides import check_strides
from mlobs_client.check.structures import check_structure
from mlobs_client.errors import MlobsError


def check_files(
    input_path: Path,
    client_paths: Sequence[Path],
    n_clients: Sequence[int] = (),
    *,
    others_serve: bool = False,
) -> Iterator[Finding]:
    """Check an input of i-PI and its client files without loading models.

    Nothing is raised for what is wrong in the files: it becomes a finding.

    Args:
        input_path: the XML, or a RESTART.
        client_paths: the client files of the run.
        n_clients: processes for each client file; one by default.
        others_serve: sockets without a client file are served by other programs.
    """
    clients = []
    for path, n in zip(client_paths, n_clients or [1] * len(client_paths), strict=True):
        try:
            clients.append(ClientFile(path, client_file.load(path), n))
        except MlobsError as problem:
            yield from_error(problem)
    try:
        ipi = ipi_input.read(input_path)
    except MlobsError as problem:
        yield from_error(problem)
        return
    yield from check_input(ipi)
    parsed = None
    try:
        parsed = parse_with_ipi(input_path)
        yield ok(f"i-PI reads {input_path.name}: {len(parsed.names)} atoms, {parsed.n_beads} beads")
        yield from check_batches(ipi, parsed)
    except MlobsError as problem:
        yield from_error(problem)
    n_beads = 0 if parsed is None else parsed.n_beads
    yield from check_agreement(ipi, clients, n_beads, others_serve=others_serve)
    yield from check_strides(ipi, clients)
    for client in clients:
        try:
            yield from check_structure(ipi, parsed, client)
        except MlobsError as problem:
            yield from_error(problem)


def check_physics(
    client_paths: Sequence[Path], input_path: Path | None = None
) -> Iterator[Finding]:
    """Load the models of client files and test them; see :mod:`mlobs_client.check.physics`.

    Args:
        client_paths: the client files.
        input_path: the XML, or a RESTART, for the digits that it writes of the energies.
    """
    from mlobs_client.check.physics import check_models  # loads torch

    floatformat = None
    if input_path is not None:
        with contextlib.suppress(MlobsError):  # check_files says it
            floatformat = ipi_input.read(input_path).floatformat
    for path in client_paths:
        try:
            yield from check_models(ClientFile(path, client_file.load(path)), floatformat)
        except MlobsError as problem:
            yield from_error(problem)


def from_error(problem: MlobsError) -> Finding:
    """Turn an error, whose text ends with its remedy, into a finding."""
    what, _, remedy = str(problem).partition("; ")
    return error(what, remedy or "correct what is named here")
