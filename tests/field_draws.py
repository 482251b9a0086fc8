"""Dipoles in fields whose averages are known: of harmonic charges, and of polarizable ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.units import KELVIN, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
TEMPERATURE = 300.0 * KELVIN
SPRINGS = np.array([[0.10, 0.02, -0.01], [0.02, 0.15, 0.03], [-0.01, 0.03, 0.20]])
RESPONSE = 20 * np.linalg.inv(SPRINGS)
"""d<mu>/dE of 20 charges; times kT, the covariance."""
REST = np.array([30.0, -4.0, 7.0])
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0


def strength(field: float) -> Array:
    return np.asarray(field * VOLT_PER_ANGSTROM * DIRECTION)


def draw(field: Array, n_samples: int, seed: int, keep: float = 0.0) -> Array:
    """Dipoles in a field, each with ``keep`` of the one before."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(TEMPERATURE * RESPONSE)
    series = rng.normal(size=(n_samples, 3))
    for t in range(1, n_samples):
        series[t] = keep * series[t - 1] + np.sqrt(1.0 - keep**2) * series[t]
    return np.asarray(REST + RESPONSE @ field + series @ root.T)


def exact(field: Array) -> float:
    return float((REST + RESPONSE @ field) @ DIRECTION)


STIFFNESS, CHARGE = 0.05, 10.0


def polarizability(x: Array) -> Array:
    """Along the field, of a charge at ``x``."""
    return np.asarray(3000.0 + 8000.0 * x + 10000.0 * x**2)


def draw_polarizable(field: float, n_samples: int, seed: int) -> tuple[Array, Array]:
    """Dipoles in the field and polarizabilities of a charge on a spring, field of second order."""
    stiffness = STIFFNESS - 10000.0 * field**2  # the energy is a parabola again
    mean = (CHARGE * field + 0.5 * 8000.0 * field**2) / stiffness
    rng = np.random.default_rng(seed)
    x = mean + rng.normal(scale=np.sqrt(TEMPERATURE / stiffness), size=n_samples)
    tensors = np.zeros((n_samples, 3, 3))
    tensors[:, 2, 2] = polarizability(x)
    tensors[:, 0, 2], tensors[:, 2, 0] = 500.0, -500.0  # has no energy
    dipoles = np.zeros((n_samples, 3))
    dipoles[:, 2] = CHARGE * x + polarizability(x) * field
    return dipoles, tensors


def exact_polarizable(field: float) -> float:
    """Mean dipole in the field, by quadrature."""
    x = np.linspace(-3.0, 3.0, 20001)
    energy = 0.5 * STIFFNESS * x**2 - CHARGE * x * field - 0.5 * polarizability(x) * field**2
    weights = np.exp((energy.min() - energy) / TEMPERATURE)
    return float(weights @ (CHARGE * x + polarizability(x) * field) / weights.sum())
