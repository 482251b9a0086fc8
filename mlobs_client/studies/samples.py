"""The trajectories of a campaign in static fields, as arrays.

What a run was is read from its own files: the field from the client file, the weight of this
field, beads, temperature and whether there is a barostat from the input.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlobs_client.campaign import state
from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.results import Skip
from mlobs_client.client import config
from mlobs_client.client.service import ClientFile, find_service
from mlobs_client.errors import RecordError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.trajectory import Trajectory
from mlobs_client.structure import Array, Structure
from mlobs_client.studies.runs import Run
from mlobs_client.units import PICOSECOND

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """What one run wrote, after its equilibration, in atomic units.

    Attributes:
        name: of the run.
        field: shape ``(3,)``, Eh/(e bohr).
        n_beads: of the ring polymer.
        temperature: kT, Eh.
        has_barostat: whether the cell changes along the run.
        duration: of what is left, ps.
        dipoles: ``[t, i]``, mean over beads, e bohr.
        positions: ``[t, b, I, i]``, bohr, unwrapped, with cells.
        positions_spacing: time between their samples, atu.
        velocities: of the centroid, ``[t, I, i]``, bohr/atu.
        velocities_spacing: time between their samples, atu.
        masses: shape ``(n_atoms,)``, electron masses.
    """

    name: str
    field: Array
    n_beads: int
    temperature: float
    has_barostat: bool
    duration: float
    dipoles: Array
    positions: Trajectory
    positions_spacing: float
    velocities: Array
    velocities_spacing: float
    masses: Array

    @property
    def start(self) -> Structure:
        """The first frame of the first bead."""
        first = self.positions
        return Structure(first.numbers, first.values[0, 0], first.cells[0])


def read_samples(campaign: Campaign, skip: Skip) -> list[Sample]:
    """Read all runs that have begun; those that have not ended are named in the log.

    Raises:
        ConfigError: the input or the client file of a run cannot be read.
        RecordError: a run that is done cannot be read, or is too short, or there is none at all,
            or a run is not in a field, or in one of unknown strength.
    """
    samples = []
    for name, run in campaign.runs.items():
        if not run.folder.exists():
            logger.warning("%s has not begun", name)
            continue
        ipi = ipi_input.read(run.folder / "input.xml")
        paths = [run.folder / file for file in campaign.table.client_files]
        field = read_field(ipi, [ClientFile(path, config.load_config(path)) for path in paths])
        try:
            samples.append(_read_sample(run, ipi, field, skip))
        except RecordError as error:
            if run.is_done:
                raise
            logger.warning("%s is not done, and cannot be read yet: %s", name, error)
            continue
        if not run.is_done:
            logger.warning("%s is not done: %.3g ps so far", name, samples[-1].duration)
    if not samples:
        raise RecordError(f"{campaign.path}: no run has written anything yet")
    return samples


def _read_sample(
    run: state.CampaignRun, ipi: ipi_input.IpiInput, field: Array, skip: Skip
) -> Sample:
    outputs = Run(run.folder / ipi.prefix)
    steps = outputs.properties["step"]
    first = skip.count(outputs.properties)
    if first >= len(steps) - 1:
        raise RecordError(f"{run.folder}: shorter than what is skipped; run longer, or skip less")
    positions, velocities, dipoles = outputs.positions(), outputs.velocities(), outputs.dipoles()
    left = positions.steps >= steps[first]
    later = velocities.steps >= steps[first]
    spacing = outputs.spacing(velocities.steps[later])
    velocities = replace(velocities, values=velocities.values[later])
    duration = float(steps[-1] - steps[first]) * outputs.timestep / PICOSECOND
    return Sample(
        name=run.name,
        field=field,
        n_beads=ipi.n_beads,
        temperature=read_temperature(ipi),
        has_barostat=bool(ipi.barostatted),
        duration=duration,
        dipoles=dipoles.mean[dipoles.steps >= steps[first]],
        positions=replace(
            positions,
            steps=positions.steps[left],
            values=positions.values[left],
            cells=positions.cells[left],
        ),
        positions_spacing=outputs.spacing(positions.steps[left]),
        velocities=velocities.values,
        velocities_spacing=spacing,
        masses=outputs.masses(velocities).values,
    )


def read_field(ipi: ipi_input.IpiInput, clients: Sequence[ClientFile]) -> Array:
    """The sum over all forces, with their weights, of the fields of their clients.

    Args:
        ipi: the input.
        clients: that serve it.

    Returns:
        Shape ``(3,)``, Eh/(e bohr).

    Raises:
        RecordError: a field changes along the run, or its strength is not known.
    """
    service = find_service(ipi, clients)
    for client in clients:
        if client.config.field is not None and client.config.field.reduced and ipi.barostatted:
            raise RecordError(
                f"{client.path}: [field] reduced = true holds the voltages, and {ipi.path} has a "
                "barostat, so that the field changes along the run; a field scan at constant "
                "pressure needs reduced = false"
            )
        if client.config.displacement is not None:
            raise RecordError(
                f"{client.path}: [displacement] holds no field, which changes along the run; a "
                "field scan needs runs with [field]"
            )
        if client.config.field is not None and not any(
            service.get(force.forcefield) is client for force in ipi.forces
        ):
            raise RecordError(
                f"{client.path}: has [field], but serves no <force> of {ipi.path}, whose weight "
                "says how strong it is; let a <force> name the forcefield of this client"
            )
    total = np.zeros(3)
    for force in ipi.forces:
        served = service.get(force.forcefield)
        if served is not None and served.config.field is not None:
            total += force.weight * served.config.field.atomic_units
    return total


def read_temperature(ipi: ipi_input.IpiInput) -> float:
    """Temperature of the ensemble, kT, Eh.

    Raises:
        RecordError: the input has none.
    """
    if ipi.temperature is None:
        raise RecordError(
            f"{ipi.path}: has no <temperature> in <ensemble>, which the linear response needs"
        )
    return ipi.temperature.in_atomic_units("temperature", str(ipi.path))
