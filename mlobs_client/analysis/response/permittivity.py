r"""The static dielectric tensor, from the fluctuations of the dipole without a field.

The field is the macroscopic one ("tin-foil" boundaries), as in
:mod:`~mlobs_client.analysis.response.dielectric`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlobs_client.analysis.response.fluctuations import covariance
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    as_runs,
    check_positive,
    check_temperature,
)
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.result import Tensor
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_EPSILON_0


@dataclass(frozen=True)
class Permittivity:
    """The static dielectric tensor.

    Attributes:
        tensor: shape ``(3, 3)``, symmetric, without a unit.
        errors: standard errors, shape ``(3, 3)``, without a unit; NaN if the runs are too short.
        no_error: reason why the elements have no errors, which need longer runs than the error of
            ``mean``; empty if they have errors.
        mean: a third of the trace; the dielectric constant of a liquid.
    """

    tensor: Array
    errors: Array
    no_error: str
    mean: Estimate

    def as_tensor(self, name: str) -> Tensor:
        """Return the tensor as a part of a result.

        Args:
            name: name of the tensor in the result.
        """
        error_from = self.no_error or self.mean.error_from
        return Tensor(name, "1", self.tensor, self.errors, error_from)


def permittivity_from_fluctuations(
    dipoles: Runs,
    volume: float,
    temperature: float,
    *,
    electronic: float = 1.0,
    interval: float | None = None,
) -> Permittivity:
    r"""Determine the static dielectric tensor from dipole fluctuations without a field.

    .. math:: \epsilon_{ik} = \epsilon_\infty \delta_{ik}
              + \frac{\langle \mu_i \mu_k \rangle - \langle \mu_i \rangle \langle \mu_k \rangle}
                     {V k_B T \epsilon_0}

    The mean dipole is taken over all runs, which must be on one branch. It is estimated from the
    same samples, which is corrected for (see :mod:`~mlobs_client.analysis.response.fluctuations`):
    otherwise the fluctuations from a run of length T would be too small by a fraction :math:`2 \tau
    / T`.

    Args:
        dipoles: dipole of the whole cell, shape ``(t, 3)``, e bohr, or several such runs; for path
            integrals, the mean over beads.
        volume: volume of the cell, bohr^3.
        temperature: kT, Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        electronic: high-frequency (electronic) permittivity, epsilon_inf; 1 leaves it out.
        interval: time between samples, ps, for the reason given in place of an error.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: shapes are wrong, runs are too short, or numbers are not finite.

    Example:
        Dipoles with the fluctuations of a liquid of dielectric constant 80::

            >>> import numpy as np
            >>> from mlobs_client.analysis import permittivity_from_fluctuations
            >>> from mlobs_client.units import ANGSTROM, INVERSE_EPSILON_0, KELVIN
            >>> volume, kt = 1000.0 * ANGSTROM**3, 300.0 * KELVIN
            >>> width = np.sqrt((80.0 - 1.0) * volume * kt / INVERSE_EPSILON_0)
            >>> dipoles = np.random.default_rng(0).normal(scale=width, size=(20_000, 3))
            >>> found = permittivity_from_fluctuations(dipoles, volume, kt)
            >>> found.tensor.shape
            (3, 3)
            >>> found.mean.is_beyond(80.0), found.mean.error < 1.0
            (False, True)
    """
    scale = per_covariance(volume, temperature)
    check_positive("epsilon_inf", electronic, "")
    fluctuations = covariance(as_runs(dipoles, ("t", "3"), "dipoles"), interval)
    mean = fluctuations.mean * scale
    return Permittivity(
        electronic * np.eye(3) + scale * fluctuations.tensor,
        scale * fluctuations.errors,
        fluctuations.no_error,
        replace(mean, value=electronic + mean.value),
    )


def per_covariance(volume: float, temperature: float) -> float:
    r"""Return the factor that turns a covariance of dipoles into a susceptibility.

    .. math:: \frac{1}{V k_B T \epsilon_0}

    Args:
        volume: volume of the cell, bohr^3.
        temperature: kT, Eh.

    Returns:
        The factor, 1/(e bohr)^2.

    Raises:
        ConfigError: the volume or the temperature is invalid.
    """
    check_positive("volume", volume, "bohr^3")
    check_temperature(temperature)
    return INVERSE_EPSILON_0 / (volume * temperature)
