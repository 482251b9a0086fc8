"""Read the runs of a campaign in static fields.

The parameters of a run are read from its own files: the field from the client file, and the weight
of this field, beads, temperature and barostat from the input.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlobs_client.campaign import state
from mlobs_client.campaign.campaign import Campaign
from mlobs_client.client import config
from mlobs_client.client.service import ClientFile, find_service
from mlobs_client.errors import RecordError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.trajectory import Trajectory
from mlobs_client.results.skip import Skip
from mlobs_client.structure import Array, Structure
from mlobs_client.studies.run_set import RunSet
from mlobs_client.units import PICOSECOND

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """The samples of one run, after its equilibration.

    Attributes:
        name: name of the run.
        field: field of the run, shape ``(3,)``, Eh/(e bohr).
        n_beads: number of beads of the ring polymer.
        temperature: kT, Eh.
        has_barostat: True if the cell changes along the run.
        duration: time between the first and the last sample, ps.
        dipoles: dipoles, mean over beads, shape ``(t, 3)``, e bohr.
        positions: unwrapped positions with cells, shape ``(t, n_beads, n_atoms, 3)``, bohr.
        positions_spacing: time between samples of positions, atu.
        velocities: velocities of the centroids, shape ``(t, n_atoms, 3)``, bohr/atu.
        velocities_spacing: time between samples of velocities, atu.
        masses: masses of the atoms, shape ``(n_atoms,)``, electron masses.
        inputs: files that were read, for the provenance of a result.
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
    inputs: frozenset[Path] = frozenset()

    @property
    def start(self) -> Structure:
        """The first frame of the first bead."""
        first = self.positions
        return Structure(first.numbers, first.values[0, 0], first.cells[0])


def read_samples(campaign: Campaign, skip: Skip) -> list[Sample]:
    """Read all runs that have begun; those that are not done are named in the log.

    Args:
        campaign: the campaign.
        skip: equilibration that is left out.

    Raises:
        ConfigError: the input or the client file of a run cannot be read.
        RecordError: a run that is done cannot be read, or is too short; no run has begun; the
            strength of a field is not known, or it changes; or an input has no temperature.
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
            sample = _read_sample(run, ipi, field, skip)
        except RecordError as error:
            if run.is_done:
                raise
            logger.warning("%s is not done, and cannot be read yet: %s", name, error)
            continue
        samples.append(replace(sample, inputs=sample.inputs.union([ipi.path, *paths])))
        if not run.is_done:
            logger.warning("%s is not done: %.3g ps so far", name, sample.duration)
    if not samples:
        raise RecordError(f"{campaign.path}: no run has written anything yet")
    return samples


def _read_sample(
    run: state.CampaignRun, ipi: ipi_input.IpiInput, field: Array, skip: Skip
) -> Sample:
    prefix = run.folder / ipi.prefix
    (outputs,) = RunSet((prefix,)).runs
    steps = outputs.properties["step"].astype(np.int64)
    first = skip.count(len(steps), lambda: outputs.properties["time"])
    if first >= len(steps) - 1:
        raise RecordError(f"{run.folder}: shorter than what is skipped; run longer, or skip less")
    skipped = float(np.ptp(outputs.times(steps[[0, first]]))) / PICOSECOND
    runs = RunSet((prefix,), skip=skipped)
    (positions,), velocities, dipoles = runs.positions(), runs.velocities(), runs.dipoles()
    return Sample(
        name=run.name,
        field=field,
        n_beads=ipi.n_beads,
        temperature=read_temperature(ipi),
        has_barostat=bool(ipi.barostatted),
        duration=float(steps[-1] - steps[first]) * outputs.timestep / PICOSECOND,
        dipoles=dipoles.values[0],
        positions=positions,
        positions_spacing=outputs.spacing(positions.steps),
        velocities=velocities.values[0],
        velocities_spacing=velocities.spacing,
        masses=velocities.masses.values,
        inputs=frozenset(runs.inputs),
    )


def read_field(ipi: ipi_input.IpiInput, clients: Sequence[ClientFile]) -> Array:
    """Add up the fields of the clients that serve an input, times the weights of its forces.

    Args:
        ipi: the input.
        clients: the client files that serve it.

    Returns:
        The field, shape ``(3,)``, Eh/(e bohr).

    Raises:
        RecordError: a field changes along the run, or its strength is not known.
    """
    service = find_service(ipi, clients)
    for client in clients:
        if client.config.field is not None and client.config.field.reduced and ipi.barostatted:
            raise RecordError(
                f"{client.path}: [field] reduced = true fixes the voltages, and {ipi.path} has a "
                "barostat, so the field changes along the run; a field scan at constant "
                "pressure needs reduced = false"
            )
        if client.config.displacement is not None:
            raise RecordError(
                f"{client.path}: [displacement] does not fix the field, which changes along the "
                "run; a field scan needs runs with [field]"
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
    """Return the temperature of the ensemble, kT, Eh.

    Args:
        ipi: the input.

    Raises:
        RecordError: the input gives no temperature.
    """
    if ipi.temperature is None:
        raise RecordError(
            f"{ipi.path}: has no <temperature> in <ensemble>, which the linear response needs"
        )
    return ipi.temperature.in_atomic_units("temperature", str(ipi.path))
