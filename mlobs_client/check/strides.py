"""Check the strides of observables (``stride`` in client files) against an input of i-PI."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.client.counting import AFTERWARDS, find_obstacle
from mlobs_client.client.service import ClientFile, Service, find_service
from mlobs_client.ipi.asked_outputs import TrajectoryOutput
from mlobs_client.ipi.input import Force, IpiInput


def check_strides(ipi: IpiInput, clients: Sequence[ClientFile]) -> Iterator[Finding]:
    """Find where ``stride`` has no effect, and where i-PI would write a missing observable.

    Args:
        ipi: the input.
        clients: all client files of the run.
    """
    service = find_service(ipi, clients)
    strided: dict[str, ClientFile] = {}
    for ff in ipi.forcefields:
        if ff.name not in service or not service[ff.name].depends_on_step:
            continue
        client = service[ff.name]
        name = client.path.name
        obstacle = find_obstacle(ipi, ff, client.n_processes)
        if obstacle is None:
            strided[ff.name] = client
            yield ok(f"stride in {name} follows the steps of i-PI")
            continue
        remedy = obstacle.remedy
        yield warning(
            f"stride in {name} has no effect, and all observables are evaluated at every step: "
            f"{obstacle.reason}",
            remedy if remedy == AFTERWARDS else f"{remedy}, or {AFTERWARDS}",
        )
    yield from _outputs(ipi, strided)


def _outputs(ipi: IpiInput, service: Service) -> Iterator[Finding]:
    """Find outputs of extras that are missing at some steps: i-PI stops with a KeyError."""
    for trajectory, force, client, key, stride in _mismatches(ipi, service):
        what = f"<trajectory filename='{trajectory.filename}' stride='{trajectory.stride}'>"
        where = f"which {client.path.name} sends only every {stride} steps"
        remedy = (
            f"make its stride a multiple of {stride}, or stride in {client.path.name} a divisor of "
            f"{trajectory.stride}"
        )
        if key in trajectory.extras or key in force.interpolated:
            yield error(
                f"{what} needs the extras {key!r}, {where}: i-PI would stop with a KeyError", remedy
            )
        elif not trajectory.extras:
            yield warning(
                f"{what} writes all extras, including {key!r}, {where}: readers keep the steps of "
                "the more frequent extras",
                remedy,
            )


def _mismatches(
    ipi: IpiInput, service: Service
) -> Iterator[tuple[TrajectoryOutput, Force, ClientFile, str, int]]:
    """Yield outputs of extras, each with extras that are missing at some of its steps."""
    outputs = [trajectory for trajectory in ipi.trajectories if trajectory.writes_extras]
    for trajectory, force in itertools.product(outputs, ipi.forces):
        if force.forcefield not in service:
            continue
        client = service[force.forcefield]
        for key, stride in client.extras_strides.items():
            if trajectory.stride % stride:
                yield trajectory, force, client, key, stride
