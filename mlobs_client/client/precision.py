"""Measure the rounding errors of forces in single precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.evaluation import Evaluator, Restricted
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, EV


class Rounding(NamedTuple):
    """A comparison of the forces on one structure in two precisions.

    Attributes:
        difference: largest difference in a component of the forces, eV/angstrom.
        largest_force: largest component of the forces, eV/angstrom.
    """

    difference: float
    largest_force: float


def compare(double: Evaluator, single: Evaluator, structure: Structure) -> Rounding:
    """Compare the forces of a potential in double and single precision.

    Args:
        double: the potential in double precision.
        single: the same potential in single precision.
        structure: the structure, atomic units.

    Raises:
        EvaluationError: the potentials give numbers that are not finite, or cannot treat the
            structure.
    """
    forces, rounded = (
        predict([structure], [Restricted(evaluator, frozenset({"energy"}))])[0].forces
        for evaluator in (double, single)
    )
    unit = ANGSTROM / EV
    return Rounding(
        float(np.abs(rounded - forces).max()) * unit, float(np.abs(forces).max()) * unit
    )
