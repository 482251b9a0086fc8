"""Analyse runs of a liquid in static fields, for each field and for all fields together.

The liquid is water, or another one whose molecules have an oxygen and two hydrogens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, TypeVar

import numpy as np

from mlobs_client.analysis.liquids.arrest import FRACTION, ArrestField, arrest_field
from mlobs_client.analysis.liquids.distributions import (
    find_bonds,
    highest,
    histogram,
    mode,
    radial_distribution,
)
from mlobs_client.analysis.liquids.orientation import Orientation, find_bisectors, orientation
from mlobs_client.analysis.response.polarization import (
    PolarizationCurve,
    mean_polarization,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.analysis.transport.diffusion import (
    Diffusion,
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
)
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array
from mlobs_client.studies.field_runs import FieldRuns, group_by_field
from mlobs_client.studies.samples import Sample
from mlobs_client.units import ANGSTROM, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

OXYGEN: Final = 8
BOND_EDGES: Final[Array] = np.linspace(0.8, 1.3, 51)
"""Bins of the O-H length, angstrom."""

T = TypeVar("T")


@dataclass(frozen=True)
class ScanSettings:
    """Settings of the analysis of a field scan.

    Attributes:
        n_blocks: smallest total number of blocks of the runs in one field, for the errors of
            distributions and diffusion.
        window: first and last lag of the fit of the diffusion coefficient, ps; None for a quarter
            and half of a block.
        viscosity: viscosity at zero field, mPa s, for the correction of the diffusion coefficient
            for the size of the cell; None for no correction.
        fraction: fraction of the diffusion coefficient at zero field below which diffusion counts
            as arrested.
    """

    n_blocks: int = 4
    window: tuple[float, float] | None = None
    viscosity: float | None = None
    fraction: float = FRACTION


@dataclass(frozen=True)
class Point:
    """Results of the runs in one field with one number of beads.

    Attributes:
        field: field along the direction of the scan, V/angstrom; the first component of this
            direction that is not zero is positive.
        n_runs: number of runs.
        duration: total time of the runs without their skipped starts, ps.
        polarization: polarization along the direction of the scan, uC/cm^2; None if the branches
            of the dipoles are not known.
        bond_length: mean O-H distance within molecules, angstrom.
        bonds: distribution of these distances.
        pairs: O-O radial distribution function.
        orientation: angles between the bisectors of the molecules and the direction of the scan.
        displacements: diffusion of the oxygen atoms from their mean squared displacements.
        velocities: diffusion of the oxygen atoms from their velocity autocorrelation.
        corrected: diffusion coefficient from displacements for an infinite cell, angstrom^2/ps;
            None without a viscosity, or in a field.
    """

    field: float
    n_runs: int
    duration: float
    polarization: Estimate | None
    bond_length: Estimate
    bonds: Curve
    pairs: Curve
    orientation: Orientation
    displacements: Diffusion
    velocities: Diffusion
    corrected: Estimate | None


@dataclass(frozen=True)
class Scan:
    """The results in all fields for one number of beads.

    Attributes:
        n_beads: number of beads; 1 for classical nuclei.
        points: results in each field, in order of increasing field.
        polarization: line through the polarizations of the points; None for fewer than 3 fields.
        susceptibility: linear response, from the fluctuations at zero field, without a unit; None
            without runs at zero field.
        arrest: field above which diffusion is arrested, with the ratio of D to D at zero field for
            each point; None if D at zero field is not known.
    """

    n_beads: int
    points: tuple[Point, ...]
    polarization: PolarizationCurve | None
    susceptibility: Estimate | None
    arrest: ArrestField | None

    @property
    def label(self) -> str:
        """The name of these results in figures, which gives the number of beads."""
        return "classical" if self.n_beads == 1 else f"{self.n_beads} beads"

    @cached_property
    def rows(self) -> list[dict[str, Estimate | None]]:
        """All estimates of each point by their names; None for those that are not known."""
        ratios = (None,) * len(self.points) if self.arrest is None else self.arrest.ratio
        return [
            {
                "polarization": point.polarization,
                "O-H length": point.bond_length,
                "P1": point.orientation.first,
                "P2": point.orientation.second,
                "O-O peak": mode(point.pairs),
                "O-O peak height": highest(point.pairs),
                "D from displacements": point.displacements.coefficient,
                "MSD exponent alpha": point.displacements.msd_exponent,
                "D from velocities": point.velocities.coefficient,
                "D of an infinite cell": point.corrected,
                "D over D at zero field": ratios[i],
            }
            for i, point in enumerate(self.points)
        ]


def analyse(samples: Sequence[Sample], settings: ScanSettings) -> list[Scan]:
    """Analyse all runs; those of one field and one number of beads are combined.

    Args:
        samples: samples of each run.
        settings: settings of the analysis.

    Returns:
        A scan for each number of beads. Fields whose runs are too short are left out and named in
        the log.

    Raises:
        RecordError: the runs cannot be of one scan, or all of them are too short.
    """
    direction, groups = group_by_field(samples)
    curves = [
        _analyse_curve(n_beads, by_field, direction, settings)
        for n_beads, by_field in groups.items()
    ]
    if not any(curve.points for curve in curves):
        raise RecordError("no field has runs that can be analysed (see the warnings); run longer")
    return [curve for curve in curves if curve.points]


def _analyse_curve(
    n_beads: int, by_field: Sequence[FieldRuns], direction: Array, settings: ScanSettings
) -> Scan:
    curve = Scan(n_beads, (), None, None, None)
    points, kept = [], []
    for runs in by_field:
        names = ", ".join(sample.name for sample in runs.samples)
        what = f"{curve.label}: {runs.field:g} V/angstrom is left out ({names})"
        point = _attempt(what, partial(_analyse_point, runs, direction, settings))
        if point is not None:
            points.append(point)
            kept.append(runs)
    if not points:
        return curve
    return replace(
        curve,
        points=tuple(points),
        polarization=_attempt(
            f"{curve.label}: no line through polarizations", lambda: _polarize(kept, direction)
        ),
        susceptibility=_attempt(
            f"{curve.label}: no linear response", lambda: _respond(kept, direction)
        ),
        arrest=_attempt(
            f"{curve.label}: no field of arrest",
            lambda: _find_arrest(points, settings.fraction),
        ),
    )


def _polarize(by_field: Sequence[FieldRuns], direction: Array) -> PolarizationCurve:
    strengths: Array = np.array([runs.field for runs in by_field]) * VOLT_PER_ANGSTROM
    return polarization_against_field(
        strengths[:, None] * direction,
        [runs.dipoles for runs in by_field],
        np.array([runs.volume for runs in by_field]),
        interval=by_field[0].dipoles_interval,
    )


def _respond(by_field: Sequence[FieldRuns], direction: Array) -> Estimate:
    for runs in by_field:
        if runs.field == 0.0:
            temperature = runs.samples[0].temperature
            return susceptibility_from_fluctuations(
                runs.dipoles, runs.volume, temperature, direction, runs.dipoles_interval
            )
    raise RecordError("no run is at zero field")


def _find_arrest(points: Sequence[Point], fraction: float) -> ArrestField:
    for point in points:
        reason = point.displacements.coefficient.no_error
        if point.field == 0.0 and reason:
            raise RecordError(f"without a field, {reason}; run longer, or choose longer lags")
    fields = np.array([point.field for point in points])
    return arrest_field(fields, [point.displacements.rate for point in points], fraction)


def _analyse_point(runs: FieldRuns, direction: Array, settings: ScanSettings) -> Point:
    samples = runs.samples
    oxygens = samples[0].positions.numbers == OXYGEN
    lengths, axes = zip(*map(_measure_molecules, samples), strict=True)
    displacements, velocities = _measure_diffusion(runs, oxygens, settings)
    interval = runs.positions_interval
    return Point(
        field=runs.field,
        n_runs=len(samples),
        duration=sum(sample.duration for sample in samples),
        polarization=_attempt(
            f"no polarization at {runs.field:g} V/angstrom",
            lambda: mean_polarization(runs.dipoles, direction, runs.volume, runs.dipoles_interval),
        ),
        bond_length=mean([one.mean(axis=(1, 2)) for one in lengths], "angstrom", interval),
        bonds=histogram(
            lengths, BOND_EDGES, settings.n_blocks, interval=interval, name="O-H length"
        ),
        pairs=radial_distribution(
            [sample.positions.values[:, :, oxygens] for sample in samples],
            [sample.positions.cells for sample in samples],
            settings.n_blocks,
            interval=interval,
        ),
        orientation=orientation(axes, direction, settings.n_blocks, interval=interval),
        displacements=displacements,
        velocities=velocities,
        corrected=_correct(displacements.coefficient, runs, settings.viscosity),
    )


def _measure_molecules(sample: Sample) -> tuple[Array, Array]:
    """Return O-H lengths ``[t, b, bond]``, angstrom, and bisectors ``[t, b, molecule, i]``."""
    bonds = find_bonds(sample.start)
    vectors = bonds.vectors(sample.positions.values, sample.positions.cells)
    lengths = np.linalg.norm(vectors, axis=-1) / ANGSTROM
    return np.asarray(lengths), find_bisectors(bonds, vectors)


def _measure_diffusion(
    runs: FieldRuns, chosen: Array, settings: ScanSettings
) -> tuple[Diffusion, Diffusion]:
    """Return the diffusion from displacements and from velocities, with the same lags."""
    samples = runs.samples
    weights = samples[0].masses
    displacements = diffusion_from_displacements(
        [sample.positions.values.mean(axis=1) for sample in samples],  # of the centroid
        weights,
        samples[0].positions_spacing,
        chosen,
        settings.n_blocks,
        settings.window,
        runs.positions_interval.steps,
    )
    velocities = diffusion_from_velocities(
        [sample.velocities for sample in samples],
        weights,
        samples[0].velocities_spacing,
        chosen,
        settings.n_blocks,
        displacements.window,
        runs.velocities_interval.steps,
    )
    return displacements, velocities


def _correct(coefficient: Estimate, runs: FieldRuns, viscosity: float | None) -> Estimate | None:
    if viscosity is None or runs.field != 0.0:
        return None
    cells = np.concatenate([sample.positions.cells for sample in runs.samples])
    return correct_for_size(coefficient, runs.samples[0].temperature, viscosity, cells.mean(axis=0))


def _attempt(what: str, make: Callable[[], T]) -> T | None:
    """Compute a quantity, or log why runs are too short for it and return None."""
    try:
        return make()
    except RecordError as error:
        logger.warning("%s: %s", what, error)
        return None
