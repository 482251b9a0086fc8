r"""What the time step of the integrator does to wavenumbers, and how to take it back.

Velocity Verlet moves a harmonic oscillator of angular frequency :math:`\omega` exactly, but at

.. math:: \omega_\mathrm{seen} = \frac{2}{\Delta t} \arcsin \frac{\omega \Delta t}{2}
          \approx \omega \left( 1 + \frac{(\omega \Delta t)^2}{24} \right),

which is 19 cm^-1 too high at 3700 cm^-1 and 0.5 fs. The same holds for what i-PI makes of it: a
thermostat between the half steps (OBABO, BAOAB) leaves it as it is for weak friction; the
centroid of a ring polymer, whose free motion is exact, moves by velocity Verlet under the physical
force. With multiple time steps it is the step at which the stiff force is evaluated that counts,
the innermost. Anharmonic modes are moved as harmonic ones of their frequency, to first order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.signal import find_peaks

from mlobs_client.analysis.vibrations.spectra import check_positive
from mlobs_client.results.curve import Curve
from mlobs_client.structure import Array
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

PROMINENT: Final = 0.05
"""Of the highest point; a peak that stands out by less is not looked at."""
CLEAR: Final = 6.0
"""Errors by which a peak stands out: some hundreds of points of noise span five to six."""
STEEPEST: Final = np.pi / 3.0
"""Phase, half of the seen frequency times the time step, up to which a spectrum is corrected: near
a quarter of a period no motion is stable."""


@dataclass(frozen=True)
class PeakShift:
    """A maximum of a spectrum.

    Attributes:
        wavenumber: at which it is seen, cm^-1.
        shift: how much of that is the time step's, cm^-1; positive.
    """

    wavenumber: float
    shift: float


def true_wavenumber(seen: Array, timestep: float) -> Array:
    """Of a harmonic oscillator that velocity Verlet shows at another wavenumber.

    Args:
        seen: cm^-1.
        timestep: of the integrator, the innermost, atu.

    Raises:
        ConfigError: a time step that is not positive.
    """
    check_positive("timestep", timestep, "atu")
    half = 0.5 * timestep * INVERSE_CM
    return np.asarray(np.sin(half * seen) / half)


def peak_shifts(spectrum: Curve, timestep: float) -> list[PeakShift]:
    """How far the time step has moved each clear maximum of a spectrum.

    Clear is what stands out by six errors, and by 5 % of the highest maximum. The position is
    that of a parabola through three points;
    :meth:`~mlobs_client.results.curve.Curve.peak` has one with an error.

    Args:
        spectrum: as simulated.
        timestep: of the integrator, the innermost, atu.

    Raises:
        ConfigError: a time step that is not positive.
    """
    seen = np.fromiter(maxima(spectrum), dtype=np.float64)
    shifts = seen - true_wavenumber(seen, timestep)
    return [PeakShift(float(at), float(by)) for at, by in zip(seen, shifts, strict=True)]


def correct_timestep(spectrum: Curve, timestep: float) -> Curve:
    """Give a spectrum the wavenumbers that it would have with a time step of zero.

    The intensity is per wavenumber: what the axis is compressed by, it grows by, so that integrals
    stay. A quantum correction other than ``harmonic`` has been made at the seen wavenumbers.

    Args:
        spectrum: as simulated.
        timestep: of the integrator, the innermost, atu.

    Returns:
        The same points at lower wavenumbers, in steps that are no longer equal; without those
        beyond two thirds of what the integrator can show.

    Raises:
        ConfigError: a time step that is not positive.
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
    """Wavenumbers of the clear maxima of a spectrum, see :func:`peak_shifts`, cm^-1."""
    intensity = spectrum.mean
    clear = np.maximum(CLEAR * spectrum.error, PROMINENT * float(intensity.max()))
    for top in find_peaks(intensity, prominence=clear)[0]:
        below, at, above = intensity[top - 1 : top + 2]
        curvature = below - 2.0 * at + above
        offset = 0.5 * (below - above) / curvature if curvature < 0.0 else 0.0
        yield float(np.interp(top + offset, np.arange(len(intensity)), spectrum.x))
