r"""Shifts of wavenumbers due to the time step of the integrator, and their correction.

In velocity Verlet, a harmonic oscillator of angular frequency :math:`\omega` oscillates at

.. math:: \omega_\mathrm{seen} = \frac{2}{\Delta t} \arcsin \frac{\omega \Delta t}{2}
          \approx \omega \left( 1 + \frac{(\omega \Delta t)^2}{24} \right),

which is 19 cm^-1 too high at 3700 cm^-1 and 0.5 fs. The same holds for the integrators of i-PI: a
thermostat between the half steps (OBABO, BAOAB) does not change the shift for weak friction; the
centroid of a ring polymer, whose free motion is exact, moves by velocity Verlet under the physical
force. With multiple time steps, the relevant step is that of the stiff force, the innermost. To
first order, anharmonic modes are shifted like harmonic ones of the same frequency.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy

from mlobs_client.analysis.vibrations.spectra import check_positive
from mlobs_client.results.curve import Curve
from mlobs_client.structure import Array
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

PROMINENT: Final = 0.05
"""Smallest prominence of a clear maximum, as a fraction of the highest point."""

CLEAR: Final = 6.0
"""Smallest prominence of a clear maximum, in errors: a few hundred points of noise span five to six
errors."""

STEEPEST: Final = np.pi / 3.0
"""Largest phase (half the simulated frequency times the time step) up to which a spectrum is
corrected: near a quarter of a period the integrator is unstable."""


@dataclass(frozen=True)
class PeakShift:
    """The shift of a maximum of a spectrum.

    Attributes:
        wavenumber: position in the simulated spectrum, cm^-1.
        shift: shift due to the time step, cm^-1; positive.
    """

    wavenumber: float
    shift: float


def true_wavenumber(seen: Array, timestep: float) -> Array:
    """Return the wavenumbers of harmonic oscillators from those seen with velocity Verlet.

    Args:
        seen: wavenumbers in the simulation, shape ``(k,)``, cm^-1.
        timestep: innermost time step of the integrator, atu.

    Returns:
        Wavenumbers for a time step of zero, shape ``(k,)``, cm^-1.

    Raises:
        ConfigError: the time step is not positive.
    """
    check_positive("timestep", timestep, "atu")
    half = 0.5 * timestep * INVERSE_CM
    return np.asarray(np.sin(half * seen) / half)


def peak_shifts(spectrum: Curve, timestep: float) -> list[PeakShift]:
    """Return the shifts of all clear maxima of a spectrum due to the time step.

    A maximum is clear if its prominence is at least six errors and at least 5 % of the highest
    maximum; without errors, only the latter counts. Its position is the vertex of a parabola
    through three points; :meth:`~mlobs_client.results.curve.Curve.peak` gives a position with an
    error.

    Args:
        spectrum: the simulated spectrum, over wavenumbers in cm^-1.
        timestep: innermost time step of the integrator, atu.

    Raises:
        ConfigError: the time step is not positive.
    """
    seen = np.fromiter(maxima(spectrum), dtype=np.float64)
    shifts = seen - true_wavenumber(seen, timestep)
    return [PeakShift(float(at), float(by)) for at, by in zip(seen, shifts, strict=True)]


def correct_timestep(spectrum: Curve, timestep: float) -> Curve:
    """Correct the wavenumbers of a spectrum to a time step of zero.

    The intensity is per wavenumber, so it grows as the axis is compressed, and integrals are
    conserved. A quantum correction other than ``harmonic`` was applied at the simulated
    wavenumbers.

    Args:
        spectrum: the simulated spectrum, over wavenumbers in cm^-1.
        timestep: innermost time step of the integrator, atu.

    Returns:
        The same points at lower wavenumbers, which are no longer equidistant, without those beyond
        two thirds of the highest wavenumber that the integrator can represent.

    Raises:
        ConfigError: the time step is not positive.
    """
    check_positive("timestep", timestep, "atu")
    highest = STEEPEST / (0.5 * timestep * INVERSE_CM)
    part = spectrum.between(spectrum.x[0], min(highest, spectrum.x[-1]))
    compressed = np.cos(0.5 * timestep * INVERSE_CM * part.x)
    return replace(
        part.scaled(1.0 / compressed),
        x=true_wavenumber(part.x, timestep),
        details={**part.details, "corrected for a time step of (fs)": timestep / FEMTOSECOND},
    )


def maxima(spectrum: Curve) -> Iterator[float]:
    """Yield the wavenumbers of the clear maxima of a spectrum, cm^-1; see :func:`peak_shifts`."""
    intensity = spectrum.mean
    clear = np.fmax(CLEAR * spectrum.error, PROMINENT * float(intensity.max()))
    for top in scipy.signal.find_peaks(intensity, prominence=clear)[0]:
        below, at, above = intensity[top - 1 : top + 2]
        curvature = below - 2.0 * at + above
        offset = 0.5 * (below - above) / curvature if curvature < 0.0 else 0.0
        yield float(np.interp(top + offset, np.arange(len(intensity)), spectrum.x))
