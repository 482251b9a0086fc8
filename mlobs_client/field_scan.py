"""Runs of a liquid in static fields: what each of them says, and all of them together.

The runs are those of a campaign, with one input.xml and client.toml each. What they were is read
from there: the field from the client file, beads and temperature from the input.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from mlobs_client import config
from mlobs_client.analysis.diffusion import (
    Diffusion,
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
    growth,
)
from mlobs_client.analysis.distributions import (
    Distribution,
    find_bonds,
    histogram,
    radial_distribution,
)
from mlobs_client.analysis.freezing import FRACTION, Onset, find_onset
from mlobs_client.analysis.orientation import Orientation, find_bisectors, orientation
from mlobs_client.analysis.polarization import (
    PolarizationCurve,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.analysis.statistics import Estimate, mean
from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.results import Skip
from mlobs_client.campaign.state import Run as RunOfCampaign
from mlobs_client.check import ipi_input
from mlobs_client.errors import RecordError
from mlobs_client.outputs.dimensions import factor
from mlobs_client.outputs.trajectory import Trajectory
from mlobs_client.runs import Run, masses
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, FEMTOSECOND, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

OXYGEN: Final = 8
PICOSECOND: Final = 1000.0 * FEMTOSECOND
BOND_EDGES: Final[Array] = np.linspace(0.8, 1.3, 51)
"""Bins of the O-H length, angstrom."""

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How the runs are analysed.

    Attributes:
        n_blocks: of all runs of one field together, for the errors of distributions and diffusion.
        window: lags from which the diffusion is read, ps; a quarter to half of a block without.
        viscosity: mPa s, at zero field, for the correction of the diffusion for the size of the
            cell; without, there is none.
        fraction: of the diffusion at zero field, below which the liquid counts as frozen.
    """

    n_blocks: int = 4
    window: tuple[float, float] | None = None
    viscosity: float | None = None
    fraction: float = FRACTION


@dataclass(frozen=True)
class Sample:
    """What one run wrote, after its equilibration, in atomic units.

    Attributes:
        field: shape ``(3,)``, Eh/(e bohr).
        n_beads: of the ring polymer.
        temperature: kT, Eh.
        duration: of what is left, ps.
        dipoles: ``[t, i]``, mean over beads, e bohr.
        positions: ``[t, b, I, i]``, bohr, unwrapped, with cells.
        positions_spacing: time between their samples, atu.
        velocities: of the centroid, ``[t, I, i]``, bohr/atu.
        velocities_spacing: time between their samples, atu.
    """

    field: Array
    n_beads: int
    temperature: float
    duration: float
    dipoles: Array
    positions: Trajectory
    positions_spacing: float
    velocities: Array
    velocities_spacing: float

    @property
    def start(self) -> Structure:
        """The first frame of the first bead."""
        first = self.positions
        return Structure(first.numbers, first.values[0, 0], first.cells[0])

    @property
    def volume(self) -> float:
        """Mean over the frames, bohr^3."""
        return float(np.abs(np.linalg.det(self.positions.cells)).mean())


@dataclass(frozen=True)
class Point:
    """What the runs of one field and one number of beads say.

    Attributes:
        field: along the direction of the scan, V/angstrom.
        n_runs: how many there are.
        duration: of all together, without what was skipped, ps.
        bond_length: mean O-H distance within molecules, angstrom.
        bonds: distribution of these distances.
        pairs: O-O radial distribution function.
        orientation: of the bisectors of the molecules to the direction of the scan.
        displacements: diffusion of the oxygen atoms, from how far they get.
        growth: power of time with which they get farther; 1 where they diffuse.
        velocities: the same diffusion from how long they keep their velocity.
        corrected: the first of these for an infinite cell; None without a viscosity, which is
            that at zero field.
    """

    field: float
    n_runs: int
    duration: float
    bond_length: Estimate
    bonds: Distribution
    pairs: Distribution
    orientation: Orientation
    displacements: Diffusion
    growth: Estimate
    velocities: Diffusion
    corrected: Estimate | None


@dataclass(frozen=True)
class Curve:
    """All fields of one number of beads.

    Attributes:
        n_beads: 1 is classical.
        points: with increasing field.
        polarization: of the same points; None where there are fewer than 3 fields.
        susceptibility: linear response, from the fluctuations at zero field; None where these are
            unknown.
        onset: from which field on the diffusion is small; None where that at zero field is unknown.
    """

    n_beads: int
    points: tuple[Point, ...]
    polarization: PolarizationCurve | None
    susceptibility: Estimate | None
    onset: Onset | None

    @property
    def label(self) -> str:
        """As a figure names it."""
        return "classical" if self.n_beads == 1 else f"{self.n_beads} beads"

    @property
    def rows(self) -> list[dict[str, Estimate | None]]:
        """Everything that has an error bar, by names, for each point; None where it is unknown."""
        unknown = (None,) * len(self.points)
        polarization = unknown if self.polarization is None else self.polarization.polarization
        ratios = unknown if self.onset is None else self.onset.ratio
        return [
            {
                "polarization": polarization[i],
                "O-H length": point.bond_length,
                "P1": point.orientation.first,
                "P2": point.orientation.second,
                "O-O peak": point.pairs.mode,
                "O-O peak height": point.pairs.highest,
                "D from displacements": point.displacements.coefficient,
                "power of time of displacements": point.growth,
                "D from velocities": point.velocities.coefficient,
                "D of an infinite cell": point.corrected,
                "D over D at zero field": ratios[i],
            }
            for i, point in enumerate(self.points)
        ]


def read_samples(campaign: Campaign, skip: Skip) -> list[Sample]:
    """Read all runs that have begun; those that have not ended are named in the log.

    Raises:
        ConfigError: the input or the client file of a run cannot be read.
        RecordError: a run that is done cannot be read, or is too short, or there is none at all.
    """
    samples = []
    for name, run in campaign.runs.items():
        if not run.folder.exists():
            logger.warning("%s has not begun", name)
            continue
        try:
            samples.append(_read_sample(run, campaign.table.client_files, skip))
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


def analyse(samples: Sequence[Sample], settings: Settings) -> list[Curve]:
    """Make one curve for each number of beads; runs of the same field are taken together.

    Raises:
        RecordError: the runs cannot be of one scan, or are too short.
    """
    strongest = max(samples, key=lambda sample: float(np.linalg.norm(sample.field))).field
    if not strongest.any():
        raise RecordError("all fields are zero; a scan needs runs at different fields")
    direction = strongest / np.linalg.norm(strongest)

    def strength(sample: Sample) -> float:
        return round(float(sample.field @ direction) / VOLT_PER_ANGSTROM, 9)

    curves = []
    for n_beads in sorted({sample.n_beads for sample in samples}):
        of_beads = sorted((s for s in samples if s.n_beads == n_beads), key=strength)
        legs = {field: list(leg) for field, leg in groupby(of_beads, strength)}
        curves.append(_analyse_curve(n_beads, legs, direction, settings))
    return curves


def _analyse_curve(
    n_beads: int, legs: Mapping[float, Sequence[Sample]], direction: Array, settings: Settings
) -> Curve:
    points = tuple(_analyse_point(field, leg, direction, settings) for field, leg in legs.items())
    diffusion = [point.displacements.coefficient for point in points]
    fields = np.array([leg[0].field for leg in legs.values()])
    dipoles = {field: np.concatenate([s.dipoles for s in leg]) for field, leg in legs.items()}
    one = next(iter(legs.values()))[0]

    def respond() -> Estimate:
        if 0.0 not in dipoles:
            raise RecordError("no run is at zero field")
        return susceptibility_from_fluctuations(
            dipoles[0.0], one.volume, one.temperature, direction
        )

    curve = Curve(n_beads, points, None, None, None)
    return replace(
        curve,
        polarization=_attempt(
            f"{curve.label}: no polarization curve",
            lambda: polarization_against_field(fields, list(dipoles.values()), one.volume),
        ),
        susceptibility=_attempt(f"{curve.label}: no linear response", respond),
        onset=_attempt(
            f"{curve.label}: no onset",
            lambda: find_onset(np.array(list(legs)), diffusion, settings.fraction),
        ),
    )


def _analyse_point(
    field: float, leg: Sequence[Sample], direction: Array, settings: Settings
) -> Point:
    numbers = leg[0].positions.numbers
    oxygens = numbers == OXYGEN
    cells = [sample.positions.cells for sample in leg]
    bonds = [find_bonds(sample.start) for sample in leg]
    vectors = [
        bond.vectors(sample.positions.values, cell)
        for bond, sample, cell in zip(bonds, leg, cells, strict=True)
    ]
    lengths = [np.linalg.norm(one, axis=-1) / ANGSTROM for one in vectors]
    axes = [find_bisectors(*both) for both in zip(bonds, vectors, strict=True)]
    n_blocks, window = settings.n_blocks, settings.window
    displacements = diffusion_from_displacements(
        [sample.positions.values.mean(axis=1) for sample in leg],
        masses(numbers),
        _common(leg, "positions_spacing"),
        oxygens,
        n_blocks,
        window,
    )
    return Point(
        field=field,
        n_runs=len(leg),
        duration=sum(sample.duration for sample in leg),
        bond_length=mean(
            np.concatenate([one.mean(axis=(1, 2)) for one in lengths]), unit="angstrom"
        ),
        bonds=histogram(lengths, BOND_EDGES, n_blocks),
        pairs=radial_distribution(
            [sample.positions.values[:, :, oxygens] for sample in leg], cells, n_blocks
        ),
        orientation=orientation(axes, direction, n_blocks),
        displacements=displacements,
        growth=growth(displacements),
        velocities=diffusion_from_velocities(
            [sample.velocities for sample in leg],
            masses(numbers),
            _common(leg, "velocities_spacing"),
            oxygens,
            n_blocks,
            displacements.window,
        ),
        corrected=_correct(displacements.coefficient, leg[0], settings.viscosity, field),
    )


def _correct(
    coefficient: Estimate, sample: Sample, viscosity: float | None, field: float
) -> Estimate | None:
    if viscosity is None or field != 0.0:
        return None
    return correct_for_size(coefficient, sample.temperature, viscosity, sample.start.cell)


def _common(leg: Sequence[Sample], name: str) -> float:
    values = [float(getattr(sample, name)) for sample in leg]
    if max(values) - min(values) > 1e-6 * values[0]:
        raise RecordError(f"runs of one field differ in their {name}: {values} (a.u.)")
    return values[0]


def _attempt(what: str, make: Callable[[], T]) -> T | None:
    """What runs that are too short do not give is said, and left out."""
    try:
        return make()
    except RecordError as error:
        logger.warning("%s: %s", what, error)
        return None


def _read_sample(run: RunOfCampaign, client_files: Sequence[str], skip: Skip) -> Sample:
    ipi = ipi_input.read(run.folder / "input.xml")
    outputs = Run(ipi.file("pos").with_suffix(""))
    steps = outputs.properties["step"]
    first = skip.count(outputs.properties)
    if first >= len(steps) - 1:
        raise RecordError(f"{run.folder}: shorter than what is skipped; run longer, or skip less")
    positions, velocities, dipoles = outputs.positions(), outputs.velocities(), outputs.dipoles()
    left = positions.steps >= steps[first]
    duration = float(steps[-1] - steps[first]) * outputs.timestep / PICOSECOND
    return Sample(
        field=_read_field([run.folder / file for file in client_files]),
        n_beads=ipi.n_beads,
        temperature=_read_temperature(ipi),
        duration=duration,
        dipoles=dipoles.mean[dipoles.steps >= steps[first]],
        positions=replace(
            positions,
            steps=positions.steps[left],
            values=positions.values[left],
            cells=positions.cells[left],
        ),
        positions_spacing=outputs.spacing(positions.steps),
        velocities=velocities.values[velocities.steps >= steps[first]],
        velocities_spacing=outputs.spacing(velocities.steps),
    )


def _read_field(client_files: Sequence[Path]) -> Array:
    """The sum over all clients; zero without any."""
    fields = [config.load(path).field for path in client_files]
    known = [one.atomic_units for one in fields if one is not None]
    return np.asarray(np.sum([np.zeros(3), *known], axis=0))


def _read_temperature(ipi: ipi_input.IpiInput) -> float:
    if ipi.temperature is None:
        raise RecordError(
            f"{ipi.path}: has no <temperature> in <ensemble>, which the linear response needs"
        )
    text, unit = ipi.temperature
    return float(text) * factor("temperature", unit, str(ipi.path))
