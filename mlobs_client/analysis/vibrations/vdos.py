"""Vibrational density of states from velocities.

For path integrals, use the velocities of the centroid, from RPMD, TRPMD or CMD.
"""

from __future__ import annotations

import numpy as np

from mlobs_client.analysis.vibrations.kinetics import find_freedom
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    SpectrumSettings,
    as_runs,
    check_positive,
    spectrum,
)
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_CM


def vdos(
    velocities: Runs,
    masses: Array,
    timestep: float,
    settings: SpectrumSettings | None = None,
    degrees_of_freedom: float | None = None,
) -> Curve:
    r"""Determine the vibrational density of states from mass-weighted velocities.

    .. math::

        D(\tilde\nu) \propto \int_{-\infty}^{\infty} \cos(\omega t)
            \sum_I m_I \langle v_I(0) \cdot v_I(t) \rangle\, dt,\qquad
        \int_0^\infty D\, d\tilde\nu = \text{degrees of freedom}

    Args:
        velocities: shape ``(t, n_atoms, 3)``, bohr/atu, or several such runs.
        masses: shape ``(n_atoms,)``, electron masses.
        timestep: time between samples, atu.
        settings: resolution, number of blocks, and window.
        degrees_of_freedom: integral up to the Nyquist wavenumber; by default the number of
            coordinates that move: ``3 n_atoms``, minus fixed coordinates, minus those of a centre
            of mass at rest (:func:`~mlobs_client.analysis.vibrations.kinetics.find_freedom`).

    Returns:
        States per cm^-1, over wavenumbers in cm^-1.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: shapes are wrong, numbers are not finite, or runs are too short for a
            spectrum.

    Example:
        Two atoms that vibrate against each other, one coordinate at 1000 cm^-1::

            >>> import numpy as np
            >>> from mlobs_client.analysis import SpectrumSettings, vdos
            >>> from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM
            >>> times = FEMTOSECOND * np.arange(5000)
            >>> velocities = np.zeros((5000, 2, 3))
            >>> velocities[:, 0, 0] = 1e-3 * np.cos(1000.0 * INVERSE_CM * times)
            >>> velocities[:, 1, 0] = -velocities[:, 0, 0]
            >>> masses = np.array([1.0, 1.0]) * DALTON
            >>> settings = SpectrumSettings(resolution=50.0, n_blocks=4)
            >>> found = vdos(velocities, masses, FEMTOSECOND, settings)
            >>> print(f"{found.peak(800.0, 1200.0).value:.0f} {found.x_unit}")
            1000 cm^-1
            >>> print(f"{found.integral(0.0, 2000.0).value:.1f} coordinates")
            1.0 coordinates
    """
    settings = settings or SpectrumSettings()
    masses = _check_masses(masses)
    runs = as_runs(velocities, ("t", "n_atoms", "3"), "velocities")
    for run in runs:
        if run.shape[1:] != (len(masses), 3):
            raise RecordError(
                f"velocities must have shape (t, {len(masses)}, 3) for the {len(masses)} masses, "
                f"got {run.shape}"
            )
    weights = np.repeat(masses[:, None], 3, axis=1)  # [I, i]
    if degrees_of_freedom is None:
        degrees_of_freedom = float(max(1, find_freedom(runs, masses).count))
    check_positive("degrees_of_freedom", degrees_of_freedom, "(a number)")
    density = SpectralDensity.of(runs, timestep, settings, weights)
    total = float(density.at_zero_lag.mean())
    if total == 0.0:
        raise RecordError("all velocities are zero; give the file of a run in which atoms move")
    return spectrum(
        quantity="vibrational density of states",
        wavenumber=density.wavenumber,
        blocks=_per_kinetic_energy(density.blocks, density.at_zero_lag / total),
        unit="1/cm^-1",
        resolution=density.resolution,
        details={**density.details, "degrees of freedom": degrees_of_freedom},
        other_windows=density.other_windows,
        no_error=density.no_error,
    ).scaled(degrees_of_freedom / total * INVERSE_CM / np.pi)


def _per_kinetic_energy(blocks: Array, relative: Array) -> Array:
    """Remove from each block the fluctuation of its kinetic energy, relative to the mean.

    A density of states is a ratio with a fluctuating denominator: to first order, only the
    fluctuations of the ratio remain, about the same mean.
    """
    return np.asarray(blocks - np.outer(relative - 1.0, blocks.mean(axis=0)))


def _check_masses(masses: Array) -> Array:
    masses = check_series(masses, "masses", least=1)
    if masses.ndim != 1 or not (masses > 0.0).all():
        raise RecordError(f"masses must be positive numbers, one per atom, got {masses}")
    return masses
