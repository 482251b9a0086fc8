"""Ions with integer charges in a triclinic cell, whose dipole is multi-valued."""

from __future__ import annotations

import numpy as np

from mlobs_client.evaluate.toys import ChargedOscillators
from mlobs_client.structure import Structure

CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
CHARGES = np.array([1, -2, 3, -2])


def structure() -> Structure:
    random = np.random.default_rng(1)
    return Structure(np.array([1, 8, 3, 8]), random.normal(size=(4, 3)) * 2.0, CELL)


def oscillators() -> ChargedOscillators:
    random = np.random.default_rng(2)
    return ChargedOscillators(
        structure().positions + random.normal(size=(4, 3)) * 0.1,
        CHARGES,
        spring_constant=[[0.1, 0.02, 0.0], [0.02, 0.2, 0.03], [0.0, 0.03, 0.3]],
        cubic=0.02,
        quartic=0.05,
        polarizability=random.normal(size=(3, 3)) + 5.0 * np.eye(3),
        polarizability_slope=random.normal(size=(3, 3, 3)),
        polarizability_curvature=random.normal(size=(3, 3)),
        reference_cell=CELL,
    )
