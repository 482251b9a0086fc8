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
        errors: shape ``(3, 3)``, one sigma; NaN where the runs are too short.
        no_error: why the elements have no errors, which need longer runs than the mean of three;
            empty where they have.
        mean: a third of the trace: of a liquid, the dielectric constant.
    """

    tensor: Array
    errors: Array
    no_error: str
    mean: Estimate

    def as_tensor(self, name: str) -> Tensor:
        """The tensor as a part of a result."""
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
    r"""Static dielectric tensor from the fluctuations of the dipole without a field.

    .. math:: \epsilon_{ik} = \epsilon_\infty \delta_{ik}
              + \frac{\langle \mu_i \mu_k \rangle - \langle \mu_i \rangle \langle \mu_k \rangle}
                     {V k_B T \epsilon_0}

    The mean is that of all runs: all must be on one branch. That it is known from the same samples
    only is corrected, see :mod:`~mlobs_client.analysis.response.fluctuations`: without, a run of T
    would give fluctuations too small by :math:`2 \tau / T`.

    Args:
        dipoles: shape ``(t, 3)``, e bohr, of the whole cell, or several such runs; for path
            integrals the mean over beads.
        volume: of the cell, bohr^3.
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        electronic: epsilon_infinity, what the electrons add at once; 1 leaves them out.
        interval: between samples, ps, for what the mean says where it has no error.

    Raises:
        ConfigError: an impossible parameter.
        RecordError: wrong shapes, too short, or not finite.
    """
    scale = per_covariance(volume, temperature)
    check_positive("epsilon_infinity", electronic, "")
    found = covariance(as_runs(dipoles, ("t", "3"), "dipoles"), interval)
    mean = found.mean * scale
    return Permittivity(
        electronic * np.eye(3) + scale * found.tensor,
        scale * found.errors,
        found.no_error,
        replace(mean, value=electronic + mean.value),
    )


def per_covariance(volume: float, temperature: float) -> float:
    r"""Return what a covariance of dipoles is multiplied with for the susceptibility.

    .. math:: \frac{1}{V k_B T \epsilon_0}

    Args:
        volume: of the cell, bohr^3.
        temperature: kT, Eh.

    Returns:
        1/(e bohr)^2; with the covariance, no unit is left.

    Raises:
        ConfigError: an impossible volume or temperature.
    """
    check_positive("volume", volume, "bohr^3")
    check_temperature(temperature)
    return INVERSE_EPSILON_0 / (volume * temperature)
