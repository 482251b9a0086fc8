"""Signals whose spectra are known exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import expm

Array = npt.NDArray[np.float64]


def _langevin(
    frequency: float,
    friction: float,
    kt_over_mass: float,
    timestep: float,
    n_samples: int,
    n_copies: int,
    seed: int,
) -> tuple[Array, Array]:
    """Positions and velocities of independent damped oscillators, each (t, copy), without error.

    The equation is linear: the propagator over a time step and the covariance of the noise are
    known exactly, whatever the time step. The start is drawn from equilibrium.
    """
    rng = np.random.default_rng(seed)
    propagator = expm(timestep * np.array([[0.0, 1.0], [-(frequency**2), -friction]]))
    stationary = np.diag([kt_over_mass / frequency**2, kt_over_mass])
    noise = np.linalg.cholesky(stationary - propagator @ stationary @ propagator.T)
    states = np.empty((n_samples, 2, n_copies))
    states[0] = np.sqrt(stationary) @ rng.normal(size=(2, n_copies))
    for t in range(1, n_samples):
        states[t] = propagator @ states[t - 1] + noise @ rng.normal(size=(2, n_copies))
    return states[:, 0], states[:, 1]


@pytest.fixture(scope="session")
def langevin() -> Callable[..., tuple[Array, Array]]:
    """Exact trajectories of damped harmonic oscillators."""
    return _langevin
