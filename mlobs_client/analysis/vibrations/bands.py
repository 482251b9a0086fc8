"""Bands of a spectrum and their intensities."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlobs_client.analysis.vibrations.timestep import maxima
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate


@dataclass(frozen=True)
class Band:
    """The band around one clear maximum.

    Attributes:
        wavenumber: position of the maximum, cm^-1.
        low: lower end, at the minimum towards the previous maximum, cm^-1.
        high: upper end, at the minimum towards the next maximum, cm^-1.
        area: integral between the ends, in the unit of the spectrum times cm^-1.
    """

    wavenumber: float
    low: float
    high: float
    area: Estimate

    def __str__(self) -> str:
        area = f"{self.area.text} {self.area.unit}" + (", no error" if self.area.no_error else "")
        return f"{self.wavenumber:.1f} cm^-1: {area} (from {self.low:.0f} to {self.high:.0f})"


def find_bands(spectrum: Curve) -> list[Band]:
    """Split a spectrum at the minima between its clear maxima, and integrate the parts.

    Args:
        spectrum: a spectrum over wavenumbers in cm^-1, or a part of it, with at least two blocks.
    """
    return [
        Band(top, low, high, spectrum.integral(low, high)) for top, low, high in _split(spectrum)
    ]


def member_spreads(spectrum: Curve) -> list[tuple[float, float]]:
    """Return the positions of the clear maxima, and their spreads over the committee, cm^-1.

    Args:
        spectrum: a spectrum with members, or a part of it.

    Returns:
        Position and spread of each maximum; the spread is NaN if a member has no single band there.

    Raises:
        MissingObservable: the spectrum has no members.
    """
    found = []
    for top, low, high in _split(spectrum):
        try:
            spread = float(np.std(spectrum.member_peaks(low, high), ddof=1))
        except (ConfigError, RecordError):  # the band is a few points wide, or is not in a member
            spread = np.nan
        found.append((top, spread))
    return found


def _split(spectrum: Curve) -> list[tuple[float, float, float]]:
    """Return each clear maximum with the lowest points towards its neighbours, cm^-1."""
    tops = list(maxima(spectrum))
    x = spectrum.x
    ends = [float(x[0]), *tops, float(x[-1])]
    edges = []
    for low, high in pairwise(ends):
        between = np.flatnonzero((x >= low) & (x <= high))
        edges.append(float(x[between[np.argmin(spectrum.mean[between])]]))
    return [(top, *part) for top, part in zip(tops, pairwise(edges), strict=True)]
