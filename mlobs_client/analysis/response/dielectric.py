r"""The frequency-dependent dielectric function, from fluctuations and from a response.

A uniform field in the cell, as in the electric enthalpy H - mu.E, is the macroscopic field: there
is no depolarization field ("tin-foil" boundaries), and with P = mu/V

.. math:: P = \epsilon_0 (\epsilon - \epsilon_\infty) E .

The sign convention is :math:`e^{-i\omega t}`: :math:`\epsilon = \epsilon' + i \epsilon''`, and
:math:`\epsilon'' > 0` is absorption. Two methods use the relaxation function

.. math::

    \Phi(t) = \frac{\langle \delta\mu(0) \cdot \delta\mu(t) \rangle}{3 V k_B T \epsilon_0}
            = \frac{\langle \mu(t) - \mu_\mathrm{rest} \rangle \cdot \hat E}{V \epsilon_0 E},
    \qquad
    \epsilon(\omega) = \epsilon_\infty - \int_0^\infty \dot\Phi(t)\, e^{i \omega t}\, dt,

where the first expression holds in equilibrium without a field, and the second after a static field
E is switched off at t = 0 (run in the field, and continue without it from several checkpoints). A
third method, without a relaxation function, is :mod:`~mlobs_client.analysis.response.pulses`; the
static tensor alone is in :mod:`~mlobs_client.analysis.response.permittivity`. All agree in linear
response: the field has to be weak.

Quantum nuclei: the mean over beads from RPMD or TRPMD approximates the Kubo-transformed
correlation function, which obeys this classical formula exactly, as does the response of the
centroid. Classical dynamics gives the classical limit (the ``harmonic`` correction of
:mod:`~mlobs_client.analysis.vibrations.infrared`); with any other correction, fluctuations and
response would disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert

from mlobs_client.analysis.response.fluctuations import covariance
from mlobs_client.analysis.response.permittivity import per_covariance
from mlobs_client.analysis.vibrations.short_runs import finest_resolution
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    SpectrumSettings,
    as_runs,
    check_positive,
    spectrum,
)
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity, correlation_left
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
    VOLT_PER_ANGSTROM,
)


@dataclass(frozen=True)
class DielectricFunction:
    """The real and the imaginary part of the dielectric function.

    Attributes:
        real: epsilon', without a unit, over wavenumbers in cm^-1, with one row for each block, run,
            or pair of runs.
        imaginary: epsilon'', likewise; positive where power is absorbed.
        fluctuations: static value from the size of the fluctuations; None for a response.
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
        """Make both parts from complex numbers; fewer than three rows give no errors.

        Args:
            wavenumber: shape ``(k,)``, cm^-1.
            blocks: epsilon from each block, shape ``(n_blocks, k)``, without a unit.
            resolution: full width at half maximum of a sharp line, cm^-1.
            details: details of both curves.
            other_windows: epsilon with other windows, shape ``(2, k)``, see
                :class:`~mlobs_client.results.curve.Curve`.
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
        """The static value, epsilon' at zero frequency.

        For fluctuations, it follows from their size, whose error needs no blocks; for a response,
        it is the first point of the curve.

        Raises:
            MissingObservable: the curve starts above zero, as one from a pulse does.
        """
        if self.real.x[0] > 0.0:
            raise MissingObservable(
                f"this dielectric function starts at {self.real.x[0]:.4g} cm^-1 and has "
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
    """Determine the dielectric function from dipole fluctuations without a field.

    A process slower than the resolution appears at the resolution; the static value is right all
    the same. If the static value has no error, the function has none either. Between bands
    epsilon'' may be negative, within its error.

    Args:
        dipoles: dipole of the whole cell, shape ``(t, 3)``, e bohr, or several such runs on one
            branch; for path integrals, the mean over beads.
        timestep: time between samples, atu.
        volume: volume of the cell, bohr^3.
        temperature: kT, Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, number of blocks, and window.
        direction: vector along the response, of any length, shape ``(3,)``; None for the mean over
            x, y and z.
        electronic: high-frequency (electronic) permittivity, epsilon_inf; 1 leaves it out.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: shapes are wrong, numbers are not finite, or runs are too short for a
            spectrum.
    """
    settings = settings or SpectrumSettings()
    check_positive("timestep", timestep, "atu")
    scale = per_covariance(volume, temperature)
    runs = _fluctuations(as_runs(dipoles, ("t", "3"), "dipoles"))
    if direction is not None:
        unit = _unit_vector(direction)
        runs = [run @ unit[:, None] for run in runs]
    static = covariance(runs, settings.interval(timestep)).mean * scale
    scale /= runs[0].shape[1]
    # a biased autocorrelation of blocks of length T would spread (eps(0) - 1)/(omega T) of slow
    # processes over all frequencies, which is more than there is between the bands of a liquid
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
    short = "; ".join(filter(None, (static.no_error, density.no_error)))
    reason = short or function.real.no_error
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
    """Determine the dielectric function along a field from the relaxation after its removal.

    The error is from the scatter of the runs. There have to be as many runs from +E as from -E:
    then the error of ``rest``, which all of them share, and the quadratic response cancel in the
    mean.

    Args:
        dipoles: dipoles of several runs, shape ``(t, 3)``, e bohr; sample 0 is in equilibrium with
            the field, which is absent from then on.
        fields: field in which each run started, shape ``(n_runs, 3)``, Eh/(e bohr), all along one
            line and of one strength, with as many of one sign as of the other.
        rest: mean dipole without a field, shape ``(3,)``, e bohr, on the same branch.
        timestep: time between samples, atu.
        volume: volume of the cell, bohr^3.
        settings: resolution and window; the number of blocks is the number of runs.
        electronic: high-frequency (electronic) permittivity, epsilon_inf; 1 leaves it out.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: there are fewer than two runs, fields or shapes are wrong, numbers are not
            finite, or runs are too short for a spectrum.
    """
    settings = settings or SpectrumSettings()
    check_positive("timestep", timestep, "atu")
    check_positive("volume", volume, "bohr^3")
    runs = as_runs(dipoles, ("t", "3"), "dipoles")
    signed, strength = _fields(fields, len(runs))
    shortest = min(map(len, runs))
    resolution, short = finest_resolution([shortest] * len(runs), timestep, settings)
    width = resolution * INVERSE_CM
    max_lag = correlation.lag_for_line_width(settings.window, width, timestep)
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
            **short,
        },
        "runs",
    )


def kramers_kronig(imaginary: Array) -> Array:
    r"""Return the real part of a causal response from its imaginary part.

    .. math:: \chi'(\omega) = \frac{2}{\pi} P\!\!\int_0^\infty
              \frac{\omega' \chi''(\omega')}{\omega'^2 - \omega^2}\, d\omega'

    Args:
        imaginary: imaginary part at equidistant frequencies, starting at 0, shape ``(..., k)``; it
            is assumed to be zero at higher frequencies.

    Returns:
        The real part at the same frequencies, shape ``(..., k)``, in the same unit.
    """
    n_points = imaginary.shape[-1]
    # padding with zeros separates the periodic images of the discrete transform
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
    """Return the dielectric function from transforms of the relaxation function, atu.

    ``transforms`` has shape ``(n_blocks, k)``; ``other_windows``, shape ``(2, k)``, holds their
    means with other windows.
    """
    check_positive("epsilon_inf", electronic, "")

    def epsilon(transform: Array) -> NDArray[np.complex128]:
        imaginary = 0.5 * INVERSE_CM * wavenumber * transform
        return np.asarray(electronic + kramers_kronig(imaginary) + 1j * imaginary)

    more = {**details, "epsilon_inf": electronic}
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
    """Return the signed unit vector of the field of each run, and their common strength."""
    checked = check_series(fields, "fields", least=2)
    if checked.shape != (n_runs, 3):
        raise RecordError(
            f"fields must have shape ({n_runs}, 3), one for each run, got {checked.shape}"
        )
    norms = np.linalg.norm(checked, axis=1)
    if norms[0] == 0.0:
        raise RecordError(
            "fields[0] is zero: a run relaxes only from a field; leave out runs without one"
        )
    signed = checked / norms[0]
    if not np.allclose(np.abs(signed @ signed[0]), 1.0, atol=1e-6) or not np.allclose(
        norms, norms[0], rtol=1e-6
    ):
        raise RecordError(
            f"the fields {checked.tolist()} Eh/(e bohr) are not +E and -E of one vector; analyse "
            "runs from other fields separately"
        )
    n_alike = int((signed @ signed[0] > 0.0).sum())
    if 2 * n_alike != n_runs:
        raise RecordError(
            f"{n_alike} runs are from one sign of the field and {n_runs - n_alike} from the other; "
            "give as many of each, so that the error of the mean dipole at rest, which all share, "
            "cancels"
        )
    return signed, float(norms[0])
