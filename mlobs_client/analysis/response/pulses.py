r"""The dielectric function from the response to a pulse of an electric field.

The pulse may have any shape along one line, as in i-PI's ``driven_dynamics``; the sign convention
is that of :mod:`~mlobs_client.analysis.response.dielectric`:

.. math:: \epsilon(\omega) = \epsilon_\infty
          + \frac{\int (\mu(t) - \mu_0(t)) \cdot \hat E\, e^{i \omega t}\, dt}
                 {V \epsilon_0 \int E(t)\, e^{i \omega t}\, dt}

with the dipole :math:`\mu_0` of the same motion without the pulse. It is not needed for two runs
that start from one state, one in E(t) and one in -E(t): half of the difference of their dipoles
contains neither the thermal motion nor even orders in the field. The remaining noise is that of the
response, not of the dipole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mlobs_client.analysis.response.dielectric import DielectricFunction
from mlobs_client.analysis.vibrations.short_runs import finest_resolution
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    SpectrumSettings,
    as_runs,
    check_positive,
)
from mlobs_client.errors import RecordError
from mlobs_client.results import correlation
from mlobs_client.structure import Array, Integers
from mlobs_client.units import (
    ANGSTROM,
    FEMTOSECOND,
    INVERSE_CM,
    INVERSE_EPSILON_0,
    VOLT_PER_ANGSTROM,
)

ABSENT: Final = 1e-3
"""Fraction of its maximum below which a pulse has not started, or is over."""

SAME: Final = 1e-2
"""Fraction of the largest difference of two dipoles below which they count as equal before the
pulse: the runs then start from one state. The rounding of networks in single precision stays far
below."""

WEAKEST: Final = 0.1
"""Smallest amplitude of a pulse, as a fraction of the largest, by which a response is divided."""

LONGEST: Final = 0.02
"""Largest sigma of a pulse, as a fraction of the longest lag. The window starts at the centre of
the pulse instead of at each of its times, which causes an error of up to twice this fraction for a
line at the end of the band."""

CLOCK: Final = (
    "after a RESTART the time of i-PI continues, so a <peak> may already be over; it starts at 0 "
    "with <file mode='chk'> in a new input"
)


@dataclass(frozen=True)
class PulseResponse:
    """A pulse, and the response of the dipole in odd orders of the field.

    Attributes:
        direction: unit vector of the field, shape ``(3,)``.
        field: field along the direction, shape ``(t,)``, Eh/(e bohr); its largest sample is
            positive.
        dipoles: half of the difference of the dipoles of each pair, along the direction, shape
            ``(n_pairs, t)``, e bohr.
    """

    direction: Array
    field: Array
    dipoles: Array

    @classmethod
    def of(cls, dipoles: Runs, fields: Runs, names: Sequence[str] | None = None) -> PulseResponse:
        """Find the pairs among runs in any order.

        A run in +E and one in -E are a pair if their dipoles are equal at the start.

        Args:
            dipoles: dipoles of each run, shape ``(t, 3)``, e bohr.
            fields: field in each run, shape ``(t, 3)``, Eh/(e bohr): one pulse along one line, or
                its opposite. All runs are cut to the length of the shortest.
            names: names of the runs in error messages; by default "run 1", ...

        Raises:
            RecordError: there are fewer than two pairs, a run has no partner, pulses differ, start
                too early or end too late, shapes are wrong, or numbers are not finite.
        """
        runs = as_runs(dipoles, ("t", "3"), "dipoles")
        pulses = as_runs(fields, ("t", "3"), "fields")
        if [len(run) for run in runs] != [len(pulse) for pulse in pulses]:
            raise RecordError(
                f"dipoles of {[len(run) for run in runs]} samples need fields at the same times, "
                f"got {[len(pulse) for pulse in pulses]}"
            )
        names = names or [f"run {k}" for k in range(1, len(runs) + 1)]
        shortest = min(map(len, runs))
        stacked = np.stack([pulse[:shortest] for pulse in pulses])
        direction, along, signs = _common_pulse(stacked, names)
        _check_ends(along)
        start = int(np.argmax(np.abs(along) > SAME * np.abs(along).max()))
        pairs = _pairs(np.stack([run[:shortest] for run in runs]), signs, start, names)
        return cls(direction, along, 0.5 * pairs @ direction)

    @property
    def centre(self) -> float:
        """Mean time of the pulse, weighted by its intensity, in samples."""
        return float(np.average(np.arange(len(self.field)), weights=self.field**2))

    @property
    def duration(self) -> float:
        """Sigma of the envelope of the pulse, if it is a Gaussian, in samples."""
        deviations = np.arange(len(self.field)) - self.centre
        return float(np.sqrt(2.0 * np.average(deviations**2, weights=self.field**2)))


def dielectric_from_pulse(
    dipoles: Runs,
    fields: Runs,
    timestep: float,
    volume: float,
    *,
    settings: SpectrumSettings | None = None,
    electronic: float = 1.0,
    names: Sequence[str] | None = None,
) -> DielectricFunction:
    """Determine the dielectric function along a field from pairs of runs in pulses E(t) and -E(t).

    Both runs of a pair start from the same checkpoint, with its momenta; half of the difference of
    their dipoles is the response to the field. The error is from the scatter of the pairs.

    The lag window starts at the centre of the pulse. The curve extends over the wavenumbers at
    which the pulse has more than :data:`WEAKEST` of its largest amplitude, and starts at the
    resolution, because processes slower than the longest lag are not resolved.

    Args:
        dipoles: dipoles of at least four runs in any order, shape ``(t, 3)``, e bohr; for path
            integrals, the mean over beads.
        fields: fields at the same times, shape ``(t, 3)``, Eh/(e bohr); one pulse, and its
            opposite.
        timestep: time between samples, atu.
        volume: volume of the cell, bohr^3.
        settings: resolution and window; the number of blocks is the number of pairs.
        electronic: high-frequency (electronic) permittivity, epsilon_inf; 1 leaves it out.
        names: names of the runs in error messages; by default "run 1", ...

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: runs are refused by :meth:`PulseResponse.of` or are too short, or the pulse is
            too long for the resolution or too short for the time between samples.
    """
    settings = settings or SpectrumSettings()
    check_positive("timestep", timestep, "atu")
    check_positive("volume", volume, "bohr^3")
    check_positive("epsilon_inf", electronic, "")
    pulse = PulseResponse.of(dipoles, fields, names)
    n_after = len(pulse.field) - int(np.ceil(pulse.centre))
    n_runs = 2 * len(pulse.dipoles)
    fitted, short = finest_resolution([n_after] * n_runs, timestep, settings)
    width = fitted * INVERSE_CM
    max_lag = correlation.lag_for_line_width(settings.window, width, timestep)
    _check_duration(pulse, max_lag, timestep)
    n_points = correlation.points_for_line_width(width, timestep)
    moments, spectrum = _transforms(pulse, settings.window, max_lag, n_points)
    wavenumber = np.linspace(0.0, np.pi / (timestep * INVERSE_CM), n_points)
    window = correlation.lag_window(settings.window, max_lag)
    resolution = correlation.line_width(window, timestep) / INVERSE_CM
    band = _band(wavenumber, np.abs(spectrum), resolution, timestep)

    def epsilon(moments: NDArray[np.complex128]) -> NDArray[np.complex128]:
        ratio = INVERSE_EPSILON_0 / volume * moments[..., band] / spectrum[band]
        return np.asarray(electronic + ratio)

    others = np.full((2, n_points), np.nan, dtype=np.complex128)
    for row, lag in zip(others, (max_lag // 2, 2 * max_lag), strict=True):
        if lag < n_after:
            row[:] = _transforms(pulse, settings.window, lag, n_points)[0].mean(axis=0)
    return DielectricFunction.of(
        wavenumber[band],
        epsilon(moments),
        resolution,
        {
            "from": "pulse",
            "pairs": len(pulse.dipoles),
            "window": settings.window,
            "longest lag (samples)": max_lag,
            "highest field (V/angstrom)": float(np.abs(pulse.field).max()) / VOLT_PER_ANGSTROM,
            "duration, sigma (fs)": pulse.duration * timestep / FEMTOSECOND,
            "volume (angstrom^3)": volume / ANGSTROM**3,
            "epsilon_inf": electronic,
            **short,
        },
        epsilon(others),
        "pairs",
    )


def _transforms(
    pulse: PulseResponse, name: str, max_lag: int, n_points: int
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Transform the response with the window, [pair, k], and the pulse without one, [k]."""
    centre = pulse.centre  # lies between two samples
    lags = np.abs(np.arange(len(pulse.field)) - centre)
    window = correlation.lag_window(name, max_lag)
    weights = np.interp(lags, np.arange(max_lag + 1), window, right=0.0)
    used = slice(max(0, int(centre) - max_lag), int(centre) + max_lag + 2)
    n_padded = 2 * (n_points - 1)
    # numpy transforms with e^{-i omega t}, hence the complex conjugate
    moments = np.conj(np.fft.rfft((weights * pulse.dipoles)[:, used], n_padded))
    return moments, np.conj(np.fft.rfft(pulse.field[used], n_padded))


def _common_pulse(pulses: Array, names: Sequence[str]) -> tuple[Array, Array, Integers]:
    """Return the direction, the field along it, and the sign of each run, from [run, t, i]."""
    for pulse, name in zip(pulses, names, strict=True):
        if not pulse.any():
            raise RecordError(f"{name} has no pulse: its field is zero at all times; {CLOCK}")
    first = pulses[0]
    strengths = np.linalg.norm(first, axis=1)
    top = int(np.argmax(strengths))
    direction = first[top] / strengths[top]
    along = first @ direction
    signs = np.sign(pulses[:, top] @ direction).astype(int)
    for pulse, sign, name in zip(pulses, signs, names, strict=True):
        wrong = float(np.abs(pulse - sign * along[:, None] * direction).max())
        if wrong > 1e-6 * strengths[top]:  # files have nine digits
            raise RecordError(
                f"the field of {name} is not +E(t) or -E(t) of that of {names[0]}: they differ by "
                f"{wrong / VOLT_PER_ANGSTROM:.3g} V/angstrom, of at most "
                f"{strengths[top] / VOLT_PER_ANGSTROM:.3g}; analyse other pulses separately"
            )
    return direction, along, signs


def _check_ends(field: Array) -> None:
    """Refuse a pulse in the two samples at either end: its carrier may be zero in one of them."""
    highest = float(np.abs(field).max())
    for end, what, remedy in (
        (field[:2], "starts before the first sample", "set <peak> later than 4 <sigma>"),
        (field[-2:], "is not over at the last sample", "run longer, and set its <sigma>"),
    ):
        part = float(np.abs(end).max()) / highest
        if part > ABSENT:
            raise RecordError(
                f"the pulse {what}: it has {part:.3g} of its maximum there, and at most {ABSENT:g} "
                f"is allowed; {remedy}; {CLOCK}"
            )


def _pairs(runs: Array, signs: Integers, start: int, names: Sequence[str]) -> Array:
    """Return differences (run in +E) - (run in -E) of pairs, [pair, t, i], from [run, t, i]."""
    up, down = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
    if len(up) != len(down):
        raise RecordError(
            f"{len(up)} runs are in +E(t) and {len(down)} in -E(t); each needs its partner, in the "
            "opposite field from the same checkpoint"
        )
    if len(up) < 2:
        raise RecordError(f"{len(up)} pair of runs: an error needs at least 2; run more pairs")
    distances = np.linalg.norm(runs[up, None, 0] - runs[None, down, 0], axis=2)
    partners = down[linear_sum_assignment(distances)[1]]
    differences: Array = runs[up] - runs[partners]
    sizes = np.linalg.norm(differences, axis=2)  # [pair, t]
    for a, b, size in zip(up, partners, sizes, strict=True):
        before, largest = float(size[: start + 1].max()), float(size.max())
        if before > SAME * largest:
            raise RecordError(
                f"{names[a]} has no partner among those in the opposite field: the dipole that "
                f"fits best, that of {names[b]}, differs by {before:.3g} e bohr before the pulse, "
                f"and by at most {largest:.3g} later; start both from the same checkpoint, with "
                "its momenta"
            )
    return differences


def _check_duration(pulse: PulseResponse, max_lag: int, timestep: float) -> None:
    """Refuse long pulses, as a window about the centre is right only for short ones."""
    longest = LONGEST * max_lag
    if pulse.duration > longest:
        raise RecordError(
            f"the pulse has a sigma of {pulse.duration * timestep / FEMTOSECOND:.3g} fs, but the "
            f"resolution allows at most {longest * timestep / FEMTOSECOND:.3g} fs, {LONGEST:g} of "
            "the longest lag; make the pulse shorter, or ask for a finer resolution, which may "
            "need longer runs"
        )


def _band(wavenumber: Array, amplitude: Array, resolution: float, timestep: float) -> slice:
    """Return the band about the maximum of the pulse in which the quotient is meaningful."""
    top = int(np.argmax(amplitude))
    if amplitude[-1] > 0.1 * WEAKEST * amplitude[top]:
        raise RecordError(
            f"samples {timestep / FEMTOSECOND:.3g} fs apart end at {wavenumber[-1]:.4g} cm^-1, "
            f"where the pulse has {amplitude[-1] / amplitude[top]:.2g} of its largest amplitude, "
            f"and at most {0.1 * WEAKEST:g} is allowed; write dipole and Efield more often, or "
            "give the pulse a longer sigma"
        )
    weak = np.flatnonzero(amplitude < WEAKEST * amplitude[top])
    below, above = weak[weak < top], weak[weak > top]
    first = max(int(below[-1]) + 1 if len(below) else 0, int((wavenumber < resolution).sum()))
    last = int(above[0])
    if last - first < 3:
        raise RecordError(
            f"the pulse has no intensity above the resolution, {resolution:.3g} cm^-1; make it "
            "shorter, or ask for a finer resolution"
        )
    return slice(first, last)
