"""What single precision does to forces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.evaluation import Evaluator, Restricted
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, EV


class Rounding(NamedTuple):
    """Two precisions compared on one structure.

    Attributes:
        difference: largest change of a component of the forces, eV/angstrom.
        largest_force: largest component of the forces, eV/angstrom.
    """

    difference: float
    largest_force: float


def compare(double: Evaluator, single: Evaluator, structure: Structure) -> Rounding:
    """Compare the forces of potentials.

    Args:
        double: in double precision.
        single: the same in single precision.
        structure: to evaluate.

    Raises:
        EvaluationError: the potentials give no finite numbers, or cannot treat the structure.
    """
    forces, rounded = (
        predict([structure], [Restricted(evaluator, frozenset({"energy"}))])[0].forces
        for evaluator in (double, single)
    )
    unit = ANGSTROM / EV
    return Rounding(
        float(np.abs(rounded - forces).max()) * unit, float(np.abs(forces).max()) * unit
    )
