r"""The frequency-dependent dielectric function, from fluctuations and from a response.

A field that is uniform in the cell, as that of the enthalpy H - mu.E, is the macroscopic field:
there are no depolarization fields ("tin-foil" boundaries), and with P = mu/V

.. math:: P = \epsilon_0 (\epsilon - \epsilon_\infty) E .

Signs are those of :math:`e^{-i\omega t}`: :math:`\epsilon = \epsilon' + i \epsilon''`, and
:math:`\epsilon'' > 0` absorbs. Two ways lead over the relaxation function

.. math::

    \Phi(t) = \frac{\langle \delta\mu(0) \cdot \delta\mu(t) \rangle}{3 V k_B T \epsilon_0}
            = \frac{\langle \mu(t) - \mu_\mathrm{rest} \rangle \cdot \hat E}{V \epsilon_0 E},
    \qquad
    \epsilon(\omega) = \epsilon_\infty - \int_0^\infty \dot\Phi(t)\, e^{i \omega t}\, dt,

on the left from equilibrium without a field, on the right after a static field E has been
switched off at t = 0 (a step is the cleanest pulse that a client has: run in the field, and go on
without it from several of its checkpoints). A third way, without relaxation function, is
:mod:`~mlobs_client.analysis.response.pulses`; the static tensor alone is in
:mod:`~mlobs_client.analysis.response.permittivity`. All agree for a response that is linear: the
field has to be weak.

Quantum nuclei: the mean over beads from RPMD or TRPMD approximates the Kubo-transformed
correlation, which obeys this classical formula exactly, as the response of the centroid does. The
same numbers from classical dynamics are the classical limit (the ``harmonic`` correction of
:mod:`~mlobs_client.analysis.vibrations.infrared`); no other correction keeps fluctuations and
response equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert

from mlobs_client.analysis.response.fluctuations import covariance
from mlobs_client.analysis.response.permittivity import per_covariance
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    SpectrumSettings,
    as_runs,
    check_positive,
    spectrum,
)
from mlobs_client.analysis.vibrations.spectral_density import (
    SpectralDensity,
    check_length,
    correlation_left,
)
from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results import correlation
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import FEWEST_RUNS, Estimate, check_series
from mlobs_client.results.statistics import mean_of_independent
from mlobs_client.structure import Array
from mlobs_client.units import (
    ANGSTROM,
    INVERSE_CM,
    INVERSE_EPSILON_0,
    KELVIN,
    PICOSECOND,
    VOLT_PER_ANGSTROM,
)


@dataclass(frozen=True)
class DielectricFunction:
    """The dielectric function, its real and its imaginary part.

    Attributes:
        real: epsilon', with one curve for each block, run, or pair of runs.
        imaginary: epsilon'', likewise; positive where power is absorbed.
        fluctuations: what the fluctuations themselves say of :attr:`static`; None for a response.
    """

    real: Curve
    imaginary: Curve
    fluctuations: Estimate | None = None

    @classmethod
    def of(
        cls,
        wavenumber: Array,
        blocks: NDArray[np.complex128],
        resolution: float,
        details: Mapping[str, str | float],
        other_windows: NDArray[np.complex128],
        rows: str,
    ) -> DielectricFunction:
        """From complex numbers at wavenumbers in cm^-1; fewer than three curves have no errors.

        Args:
            wavenumber: shape ``(k,)``, cm^-1.
            blocks: shape ``(n_blocks, k)``.
            resolution: cm^-1.
            details: of both parts.
            other_windows: shape ``(2, k)``, as a :class:`~mlobs_client.results.curve.Curve` has
                them.
            rows: what the rows of ``blocks`` are: blocks, runs or pairs.
        """

        is_few = len(blocks) < FEWEST_RUNS
        reason = f"{len(blocks)} curves, needs {FEWEST_RUNS}" if is_few else ""

        def part(name: str, of_blocks: Array, of_others: Array) -> Curve:
            return spectrum(f"dielectric function, {name} part", wavenumber, of_blocks, "1",
                            resolution, details=details, other_windows=of_others, rows=rows,
                            no_error=reason)  # fmt: skip

        return cls(
            part("real", blocks.real, other_windows.real),
            part("imaginary", blocks.imag, other_windows.imag),
        )

    @property
    def static(self) -> Estimate:
        """epsilon' at zero frequency.

        From fluctuations, it is their size, whose error needs no blocks; from a response, the
        first point of the curve.

        Raises:
            MissingObservable: the curve begins above, as that from a pulse does.
        """
        if self.real.x[0] > 0.0:
            raise MissingObservable(
                f"this dielectric function begins at {self.real.x[0]:.4g} cm^-1 and has "
                "no static value; take that from fluctuations"
            )
        return self.fluctuations or mean_of_independent(self.real.blocks[:, 0], what="runs")


def dielectric_from_fluctuations(
    dipoles: Runs,
    timestep: float,
    volume: float,
    temperature: float,
    *,
    settings: SpectrumSettings | None = None,
    direction: Array | None = None,
    electronic: float = 1.0,
) -> DielectricFunction:
    """Dielectric function from the autocorrelation of the dipole without a field.

    What relaxes more slowly than the resolution allows is shown as if it took that long; the
    static value is right all the same. Without an error of the static value there is none at all.
    Between bands epsilon'' may be negative, within its error.

    Args:
        dipoles: shape ``(t, 3)``, e bohr, of the whole cell, or several such runs on one branch;
            for path integrals the mean over beads.
        timestep: between samples, atu.
        volume: of the cell, bohr^3.
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, blocks, window.
        direction: shape ``(3,)``; the response along it, in place of the mean over x, y and z.
        electronic: epsilon_infinity, what the electrons add at once; 1 leaves them out.

    Raises:
        ConfigError: an impossible parameter.
        RecordError: wrong shapes, not finite, or too short for the resolution.
    """
    settings = settings or SpectrumSettings()
    check_positive("timestep", timestep, "atu")
    scale = per_covariance(volume, temperature)
    runs = _fluctuations(as_runs(dipoles, ("t", "3"), "dipoles"))
    if direction is not None:
        unit = _unit_vector(direction)
        runs = [run @ unit[:, None] for run in runs]
    static = covariance(runs, timestep / PICOSECOND).mean * scale
    scale /= runs[0].shape[1]
    # the triangle of a biased one, with blocks of length T, would leave (eps(0) - 1)/(omega T) of
    # what is slow at all frequencies: more than there is between the bands of a liquid
    density = SpectralDensity.of(runs, timestep, settings, biased=False)
    details = {
        **density.details,
        "from": "fluctuations",
        "temperature (K)": temperature / KELVIN,
        "volume (angstrom^3)": volume / ANGSTROM**3,
    }
    density = density.restore_mean(timestep, sum(map(len, runs)) * timestep)
    function = _respond(
        density.wavenumber, scale * density.blocks, scale * density.other_windows,
        density.resolution, electronic, details, "blocks",
    )  # fmt: skip
    reason = static.no_error or function.real.no_error
    return DielectricFunction(
        replace(function.real, no_error=reason),
        replace(function.imaginary, no_error=reason),
        replace(static, value=electronic + static.value),
    )


def dielectric_from_relaxation(
    dipoles: Runs,
    fields: Array,
    rest: Array,
    timestep: float,
    volume: float,
    *,
    settings: SpectrumSettings | None = None,
    electronic: float = 1.0,
) -> DielectricFunction:
    """Dielectric function along a field, from what happens after it has been switched off.

    Each run is one of the samples that give the error. There have to be as many runs from +E as
    from -E: then the error of ``rest``, which all of them share, and what is quadratic in the
    field, cancel in the mean.

    Args:
        dipoles: several runs of shape ``(t, 3)``, e bohr; sample 0 is in equilibrium with the
            field, which is absent from then on.
        fields: in which each run began, shape ``(n_runs, 3)``, Eh/(e bohr), all along one line
            and of one strength, with as many of each sign.
        rest: mean dipole without a field, shape ``(3,)``, e bohr, on the same branch.
        timestep: between samples, atu.
        volume: of the cell, bohr^3.
        settings: resolution and window; the number of blocks is that of the runs.
        electronic: epsilon_infinity, what the electrons add at once; 1 leaves them out.

    Raises:
        ConfigError: an impossible parameter.
        RecordError: fewer than two runs, fields that do not fit, wrong shapes, not finite, or
            too short for the resolution.
    """
    settings = settings or SpectrumSettings()
    check_positive("timestep", timestep, "atu")
    check_positive("volume", volume, "bohr^3")
    runs = as_runs(dipoles, ("t", "3"), "dipoles")
    signed, strength = _fields(fields, len(runs))
    width = settings.resolution * INVERSE_CM
    max_lag = correlation.lag_for_line_width(settings.window, width, timestep)
    shortest = min(map(len, runs))
    check_length(shortest, max_lag, settings.resolution, "the shortest run after the field")
    scale = INVERSE_EPSILON_0 / (volume * strength)
    relaxation = scale * np.stack(
        [(run[:shortest] - rest) @ unit for run, unit in zip(runs, signed, strict=True)]
    )  # [run, t]
    n_points = correlation.points_for_line_width(width, timestep)

    def transform(lag: int) -> Array:
        if lag >= shortest:
            return np.full((1, n_points), np.nan)
        window = correlation.lag_window(settings.window, lag)
        return correlation.cosine_transform(relaxation[:, : lag + 1] * window, timestep, n_points)

    window = correlation.lag_window(settings.window, max_lag)
    return _respond(
        np.linspace(0.0, np.pi / (timestep * INVERSE_CM), n_points),
        transform(max_lag),
        np.stack([transform(lag).mean(axis=0) for lag in (max_lag // 2, 2 * max_lag)]),
        correlation.line_width(window, timestep) / INVERSE_CM,
        electronic,
        {
            "from": "relaxation",
            "runs": len(runs),
            "window": settings.window,
            "longest lag (samples)": max_lag,
            **correlation_left(relaxation[:, : max_lag + 1]),
            "field (V/angstrom)": strength / VOLT_PER_ANGSTROM,
            "volume (angstrom^3)": volume / ANGSTROM**3,
        },
        "runs",
    )


def kramers_kronig(imaginary: Array) -> Array:
    r"""Real part of a causal response from its imaginary part.

    .. math:: \chi'(\omega) = \frac{2}{\pi} P\!\!\int_0^\infty
              \frac{\omega' \chi''(\omega')}{\omega'^2 - \omega^2}\, d\omega'

    Args:
        imaginary: shape ``(..., k)``, at equal steps of the frequency from 0 on; zero beyond.

    Returns:
        Shape ``(..., k)``.
    """
    n_points = imaginary.shape[-1]
    # zeros keep the periodic images, which a discrete transform adds, away
    odd = np.zeros((*imaginary.shape[:-1], 16 * (n_points - 1)))
    odd[..., :n_points] = imaginary
    odd[..., 1 - n_points :] = -imaginary[..., :0:-1]
    return np.asarray(-np.imag(hilbert(odd, axis=-1))[..., :n_points])


def _respond(
    wavenumber: Array,
    transforms: Array,
    other_windows: Array,
    resolution: float,
    electronic: float,
    details: Mapping[str, str | float],
    rows: str,
) -> DielectricFunction:
    """From transforms of the relaxation function over all times, atu.

    They have shape ``(n_blocks, k)``, and ``(2, k)`` for the means with other windows.
    """
    check_positive("epsilon_infinity", electronic, "")

    def epsilon(transform: Array) -> NDArray[np.complex128]:
        imaginary = 0.5 * INVERSE_CM * wavenumber * transform
        return np.asarray(electronic + kramers_kronig(imaginary) + 1j * imaginary)

    more = {**details, "epsilon_infinity": electronic}
    return DielectricFunction.of(
        wavenumber, epsilon(transforms), resolution, more, epsilon(other_windows), rows
    )


def _fluctuations(runs: list[Array]) -> list[Array]:
    mean = np.concatenate(runs).mean(axis=0)
    return [run - mean for run in runs]


def _unit_vector(direction: Array) -> Array:
    vector = check_series(direction, "direction", least=3)
    norm = float(np.linalg.norm(vector))
    if vector.shape != (3,) or norm == 0.0:
        raise ConfigError(f"direction = {vector.tolist()}: must be a vector that is not zero")
    return np.asarray(vector / norm)


def _fields(fields: Array, n_runs: int) -> tuple[Array, float]:
    """Signed unit vector of each run's field, and the strength that all have."""
    checked = check_series(fields, "fields", least=2)
    if checked.shape != (n_runs, 3):
        raise RecordError(
            f"fields must have shape ({n_runs}, 3), one for each run, got {checked.shape}"
        )
    norms = np.linalg.norm(checked, axis=1)
    if norms[0] == 0.0:
        raise RecordError("fields[0] is zero: nothing relaxes without a field before")
    signed = checked / norms[0]
    if not np.allclose(np.abs(signed @ signed[0]), 1.0, atol=1e-6) or not np.allclose(
        norms, norms[0], rtol=1e-6
    ):
        raise RecordError(
            f"the fields {checked.tolist()} Eh/(e bohr) are not +E or -E of one vector; treat runs "
            "from other fields by themselves"
        )
    n_alike = int((signed @ signed[0] > 0.0).sum())
    if 2 * n_alike != n_runs:
        raise RecordError(
            f"{n_alike} runs are from one sign of the field and {n_runs - n_alike} from the other; "
            "give as many of each: the error of the mean dipole at rest, which all share, cancels"
        )
    return signed, float(norms[0])
