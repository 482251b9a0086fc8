"""Infrared absorption n(w) alpha(w) from the dipole of the cell.

Path integrals: give the dipole averaged over the beads
(:func:`~mlobs_client.analysis.branches.average_beads`), from RPMD, TRPMD or CMD. Its
autocorrelation function approximates the Kubo-transformed one, which has the symmetries of a
classical one; the correction is then ``harmonic``, and no other (:func:`check_correction`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from scipy.constants import Avogadro
from scipy.special import exprel

from mlobs_client.analysis.branches import unwrap_dipole
from mlobs_client.analysis.vibrations.spectra import (
    Runs,
    SpectrumSettings,
    as_runs,
    check_positive,
    check_temperature,
    spectrum,
)
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM, INVERSE_CM, INVERSE_EPSILON_0, KELVIN, SPEED_OF_LIGHT

MOLAR: Final = Avogadro / (1e8 * ANGSTROM) ** 2 * 1e-5
"""bohr^2 -> cm^2 of a mole, in km/mol per cm^-1."""

CORRECTIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "harmonic": lambda x: 1.0 / exprel(-x),
    "standard": lambda x: 2.0 / (1.0 + np.exp(-x)),
    "schofield": lambda x: np.exp(np.minimum(0.5 * x, 300.0)),  # no overflow far above any line
    "none": lambda x: np.ones_like(x),
}
"""Q(x), with x = beta hbar omega, in ``C_quantum(omega) = Q C_classical(omega)``."""


def infrared(
    dipoles: Runs,
    timestep: float,
    volume: float | None,
    temperature: float,
    *,
    settings: SpectrumSettings | None = None,
    correction: str = "harmonic",
    members: Runs | None = None,
    cell: Array | None = None,
) -> Curve:
    r"""Infrared absorption n(w) alpha(w) in cm^-1 from the cell dipole.

    The dipole is differentiated by forward differences, which removes its mean (the line at zero
    wavenumber) and weighs by the square of the frequency at once; the response of the difference,
    :math:`(2/\Delta t) \sin(\omega \Delta t / 2)`, is divided out exactly. See
    :func:`infrared_from_currents` for the formula and the corrections.

    Args:
        dipoles: shape ``(t, 3)``, e bohr, of the whole cell, or several such runs; for a
            committee its mean dipole; for path integrals the mean over beads.
        timestep: between samples, atu; lines above ``pi / timestep`` would be folded down.
        volume: of the cell, bohr^3; None for a molecule in vacuum, of which there is no n alpha:
            then the spectrum is that of the molar absorption, whose integral over a band is the
            intensity in km/mol.
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, blocks, window.
        correction: one of :data:`CORRECTIONS`.
        members: dipoles of each member, shape ``(n_members, t, 3)``, or one such per run.
        cell: shape ``(3, 3)``, bohr, rows; if given, jumps by e x lattice vectors are taken out
            with :func:`~mlobs_client.analysis.branches.unwrap_dipole`. Leave it out where
            the dipole is on one branch, as from unwrapped positions.

    Raises:
        ConfigError: an impossible parameter.
        RecordError: wrong shapes, not finite, a jump that cannot be resolved, or too short.
    """
    check_positive("timestep", timestep, "atu")
    runs = [_differentiate(run, timestep, cell) for run in as_runs(dipoles, ("t", "3"), "dipoles")]
    member_runs = None
    if members is not None:
        member_runs = [
            np.stack([_differentiate(one, timestep, cell) for one in run])
            for run in as_runs(members, ("n_members", "t", "3"), "members")
        ]
    seen = infrared_from_currents(
        runs,
        timestep,
        volume,
        temperature,
        settings=settings,
        correction=correction,
        members=member_runs,
    )
    half_phase = 0.5 * timestep * INVERSE_CM * seen.x
    return seen.scaled(np.asarray(np.sinc(half_phase / np.pi) ** -2))


def infrared_from_currents(
    currents: Runs,
    timestep: float,
    volume: float | None,
    temperature: float,
    *,
    settings: SpectrumSettings | None = None,
    correction: str = "harmonic",
    members: Runs | None = None,
) -> Curve:
    r"""Infrared absorption n(w) alpha(w) from the dipole's time derivative, J = d mu/dt.

    By the fluctuation-dissipation theorem, in SI units and per wavenumber,

    .. math::

        n(\omega)\,\alpha(\omega) = \frac{\omega}{c}\,\epsilon''(\omega)
          = \frac{\beta}{6\, c\, V \epsilon_0}
            \int_{-\infty}^{\infty} e^{i\omega t} \langle J(0) \cdot J(t) \rangle\, dt
            \;\times\; \frac{1 - e^{-x}}{x}\, Q(x),\qquad x = \beta\hbar\omega,

    where the correlation function is classical or Kubo-transformed, and Q corrects a classical
    one, :math:`C_\mathrm{quantum} \approx Q\, C_\mathrm{classical}`:

    ============= ======================== =======================================
    correction    Q(x)                     factor on the intensity
    ============= ======================== =======================================
    ``harmonic``  ``x / (1 - exp(-x))``    1
    ``standard``  ``2 / (1 + exp(-x))``    ``tanh(x/2) / (x/2)``
    ``schofield`` ``exp(x/2)``             ``sinh(x/2) / (x/2)``
    ``none``      1                        ``(1 - exp(-x)) / x``
    ============= ======================== =======================================

    ``harmonic`` is the only one that fulfils the fluctuation-dissipation theorem, is exact for
    Kubo-transformed correlation functions (path integrals), and is also what remains of the
    response in the classical limit. With it the intensity obeys the sum rule
    :math:`\int_0^\infty n \alpha\, d\omega = (\pi / 2 c \epsilon_0 V) \sum_I q_I^2 / m_I` for
    particles of fixed charge.

    A molecule has a cross section, alpha V, and n = 1. Of a mole of them, and integrated over a
    band, :math:`A = N_A V \int \alpha\, d\tilde\nu` is
    :math:`\frac{N_A}{12 \epsilon_0 c^2} |d\mu/dQ|^2` for a harmonic normal coordinate Q: 42.256
    km/mol for 1 (debye/angstrom)^2/u.

    Args:
        currents: shape ``(t, 3)``, e bohr/atu, or several such runs; for example
            ``einsum("Iij,Ij->i", born_charges, velocities)``.
        timestep: between samples, atu.
        volume: of the cell, bohr^3; None for a molecule in vacuum, of which there is no n alpha:
            then the spectrum is that of the molar absorption, whose integral over a band is the
            intensity in km/mol.
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, blocks, window.
        correction: one of :data:`CORRECTIONS`.
        members: currents of each member, shape ``(n_members, t, 3)``, or one such per run.

    Raises:
        ConfigError: an impossible parameter.
        RecordError: wrong shapes, not finite, or too short for the resolution.

    Source:
        Ramirez, Lopez-Ciudad, Kumar, Marx, JCP 121, 3973 (2004): the corrections, and why the
        harmonic one is consistent.
    """
    settings = settings or SpectrumSettings()
    if volume is not None:
        check_positive("volume", volume, "bohr^3")
    check_temperature(temperature)
    runs = as_runs(currents, ("t", "3"), "currents")
    density = SpectralDensity.of(runs, timestep, settings)
    omega = density.wavenumber * INVERSE_CM
    # 1/epsilon_0 = 4 pi in atomic units; 1/bohr -> 1/cm, or bohr^2 -> km/mol cm
    of_cell = INVERSE_EPSILON_0 / (6.0 * SPEED_OF_LIGHT * temperature)
    prefactor = of_cell * (MOLAR if volume is None else 1e8 * ANGSTROM / volume)
    x = omega / temperature
    scale = prefactor * exprel(-x) * quantum_correction(correction, x)
    member_spectra = None
    if members is not None:
        member_runs = as_runs(members, ("n_members", "t", "3"), "members")
        member_spectra = _members(member_runs, runs, timestep, settings)
    return spectrum(
        quantity="infrared absorption n(ω)α(ω)" if volume else "molar infrared absorption",
        wavenumber=density.wavenumber,
        blocks=density.blocks,
        unit="cm^-1" if volume else "km/mol/cm^-1",
        resolution=density.resolution,
        members=member_spectra,
        other_windows=density.other_windows,
        details={
            **density.details,
            "quantum correction": correction,
            "temperature (K)": temperature / KELVIN,
            **({"volume (angstrom^3)": volume / ANGSTROM**3} if volume else {}),
        },
    ).scaled(scale)


def check_correction(name: str, n_beads: int) -> None:
    """Refuse to correct the dipole of path integrals as if nuclei were classical.

    Args:
        name: one of :data:`CORRECTIONS`.
        n_beads: over which the dipole was averaged.

    Raises:
        ConfigError: another one than ``harmonic``, for two beads or more.
    """
    if n_beads > 1 and name != "harmonic":
        raise ConfigError(
            f"correction = {name!r} for {n_beads} beads: the mean over beads approximates the "
            "Kubo-transformed correlation function, for which harmonic is exact; take that one"
        )


def quantum_correction(name: str, x: Array) -> Array:
    """The factor Q from a classical spectral density to a quantum one.

    Args:
        name: one of :data:`CORRECTIONS`.
        x: beta hbar omega.

    Raises:
        ConfigError: unknown name.
    """
    if name not in CORRECTIONS:
        raise ConfigError(f"correction = {name!r}: unknown; use one of {', '.join(CORRECTIONS)}")
    return np.asarray(CORRECTIONS[name](np.asarray(x, dtype=np.float64)))


def _members(
    member_runs: Sequence[Array], runs: Sequence[Array], timestep: float, settings: SpectrumSettings
) -> Array:
    """Spectral density of each member, mean over blocks: [m, k]."""
    counts = {len(run) for run in member_runs}
    lengths = [run.shape[1] for run in member_runs]
    if len(counts) != 1 or lengths != [len(run) for run in runs]:
        raise RecordError(
            "members must have shape (n_members, t, 3) for every run, with the same members and "
            f"samples as the mean; got {[run.shape for run in member_runs]} for runs of "
            f"{[len(run) for run in runs]} samples"
        )
    (n_members,) = counts
    if n_members < 2:
        raise RecordError("members: 1 member, a spread needs at least 2")
    spectra = []
    for m in range(n_members):
        of_one = [run[m] for run in member_runs]
        density = SpectralDensity.of_one_window(of_one, timestep, settings)
        spectra.append(density.blocks.mean(axis=0))
    return np.stack(spectra)


def _differentiate(dipoles: Array, timestep: float, cell: Array | None) -> Array:
    continuous = dipoles if cell is None else unwrap_dipole(dipoles, cell)
    return np.diff(continuous, axis=0) / timestep
