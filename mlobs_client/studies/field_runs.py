"""Group the runs of a field scan that differ only in their seeds."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mlobs_client.analysis.response.branches_of_runs import align_runs, say_moved
from mlobs_client.analysis.response.polarization import along_one_line
from mlobs_client.errors import RecordError
from mlobs_client.results.run_length import Interval
from mlobs_client.structure import Array
from mlobs_client.studies.samples import Sample
from mlobs_client.units import ANGSTROM, FEMTOSECOND, KELVIN, PICOSECOND, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

ALIKE_WITHIN: Final = 1e-5
"""Largest relative difference between temperatures, cells or times of the runs of one curve; files
give them with few digits."""


@dataclass(frozen=True)
class FieldRuns:
    """The runs in one field with one number of beads.

    Attributes:
        field: field along the direction of the scan, V/angstrom.
        samples: samples of each run.
    """

    field: float
    samples: tuple[Sample, ...]

    @cached_property
    def dipoles(self) -> list[Array]:
        """The dipoles of each run, shape ``(t, 3)``, e bohr.

        They are moved to one branch, but left as they were written if the cell changes.

        Raises:
            RecordError: mean dipoles differ neither by zero nor by whole quanta.
        """
        dipoles = [sample.dipoles for sample in self.samples]
        if self.samples[0].has_barostat:
            return dipoles
        names = [sample.name for sample in self.samples]
        aligned, away = align_runs(dipoles, self.samples[0].positions.cells[0], names)
        for line in say_moved(names, away):
            logger.warning(line)
        return aligned

    @property
    def dipoles_interval(self) -> Interval:
        """The time between samples of dipoles, ps."""
        picoseconds = self.samples[0].duration / (len(self.samples[0].dipoles) - 1)
        return Interval(picoseconds, picoseconds * self._steps_per_picosecond)

    @property
    def positions_interval(self) -> Interval:
        """The time between samples of positions, ps."""
        picoseconds = self.samples[0].positions_spacing / PICOSECOND
        return Interval(picoseconds, picoseconds * self._steps_per_picosecond)

    @property
    def velocities_interval(self) -> Interval:
        """The time between samples of velocities, ps."""
        picoseconds = self.samples[0].velocities_spacing / PICOSECOND
        return Interval(picoseconds, picoseconds * self._steps_per_picosecond)

    @property
    def _steps_per_picosecond(self) -> float:
        first = self.samples[0]
        stride = float(first.positions.steps[1] - first.positions.steps[0])
        return stride * PICOSECOND / first.positions_spacing

    @property
    def volume(self) -> float:
        """The mean volume of the cell over all runs, bohr^3."""
        cells = np.concatenate([sample.positions.cells for sample in self.samples])
        return float(np.abs(np.linalg.det(cells)).mean())


def group_by_field(samples: Sequence[Sample]) -> tuple[Array, dict[int, list[FieldRuns]]]:
    """Sort runs by number of beads and by field.

    Args:
        samples: samples of each run.

    Returns:
        The direction of the scan, a unit vector of shape ``(3,)`` whose first nonzero component is
        positive; and, by increasing number of beads, the runs in each field, in order of increasing
        field.

    Raises:
        RecordError: the fields are not along one line, or all are zero; or runs differ in more than
            their field and their seed.
    """
    direction, strengths = along_one_line(
        np.array([sample.field for sample in samples]), [sample.name for sample in samples]
    )
    fields = np.round(strengths / VOLT_PER_ANGSTROM, 9) + 0.0  # no -0.0
    groups = {}
    for n_beads in sorted({sample.n_beads for sample in samples}):
        of_beads = np.array([sample.n_beads == n_beads for sample in samples])
        by_field = [
            FieldRuns(
                float(field),
                tuple(samples[i] for i in np.flatnonzero(of_beads & (fields == field))),
            )
            for field in np.unique(fields[of_beads])
        ]
        _check_alike(by_field)
        groups[n_beads] = by_field
    return direction, groups


def _check_alike(by_field: Sequence[FieldRuns]) -> None:
    """Check that runs of a curve differ only in fields and seeds, and those of a field in seeds."""
    groups = [([sample for runs in by_field for sample in runs.samples], _differ_in_liquid)]
    groups += [(list(runs.samples), _differ_in_spacing) for runs in by_field]
    for (first, *others), differ in groups:
        for other in others:
            if what := differ(first, other):
                raise RecordError(
                    f"{first.name} and {other.name} cannot be combined: they differ in their "
                    f"{what}; leave one of them out of the campaign, or repeat it like the others"
                )


def _differ_in_liquid(one: Sample, other: Sample) -> str | None:
    if not math.isclose(one.temperature, other.temperature, rel_tol=ALIKE_WITHIN):
        kelvin = [sample.temperature / KELVIN for sample in (one, other)]
        return f"temperature ({kelvin[0]:.6g} and {kelvin[1]:.6g} K)"
    species = [sample.positions.numbers.tolist() for sample in (one, other)]
    if species[0] != species[1]:
        counts = [Counter(numbers) for numbers in species]
        first, second = (", ".join(f"{n} of Z = {z}" for z, n in c.items()) for c in counts)
        return f"atoms or their order ({first} and {second})"
    if not np.allclose(one.masses, other.masses, rtol=ALIKE_WITHIN):
        return "masses (isotopes), according to their RESTART or their labels"
    if one.has_barostat != other.has_barostat:
        return "ensemble (one has a barostat, the other has none)"
    cells = [sample.start.cell / ANGSTROM for sample in (one, other)]
    largest = ALIKE_WITHIN * np.abs(cells[0]).max()
    if not one.has_barostat and np.abs(cells[0] - cells[1]).max() > largest:
        first, second = (np.round(cell, 4).tolist() for cell in cells)
        return f"cell, though there is no barostat ({first} and {second} angstrom)"
    return None


def _differ_in_spacing(one: Sample, other: Sample) -> str | None:
    for what in ("positions", "velocities"):
        spacings = [getattr(sample, f"{what}_spacing") / FEMTOSECOND for sample in (one, other)]
        if not math.isclose(*spacings, rel_tol=ALIKE_WITHIN):
            return f"time between {what} ({spacings[0]:.6g} and {spacings[1]:.6g} fs)"
    return None
