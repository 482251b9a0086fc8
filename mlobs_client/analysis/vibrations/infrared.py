"""Infrared absorption n(w) alpha(w) from the dipole of the cell.

For path integrals, use the dipole averaged over the beads
(:func:`~mlobs_client.analysis.branches.average_beads`), from RPMD, TRPMD or CMD. Its
autocorrelation function approximates the Kubo-transformed one, which has the symmetries of a
classical one; the correction must then be ``harmonic`` (:func:`check_correction`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import scipy

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

MOLAR: Final = scipy.constants.Avogadro / (1e8 * ANGSTROM) ** 2 * 1e-5
"""Factor from a cross section in bohr^2 to a molar absorption in km/mol per cm^-1."""

CORRECTIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "harmonic": lambda x: 1.0 / scipy.special.exprel(-x),
    "standard": lambda x: 2.0 / (1.0 + np.exp(-x)),
    "schofield": lambda x: np.exp(np.minimum(0.5 * x, 300.0)),  # no overflow far above any line
    "none": lambda x: np.ones_like(x),
}
"""Quantum corrections Q(x) of ``C_quantum(omega) = Q C_classical(omega)``, x = beta hbar omega."""


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
    r"""Determine the infrared absorption n(w) alpha(w) from the dipole of the cell.

    The dipole is differentiated by forward differences, which removes its mean (the line at zero
    wavenumber) and multiplies its spectrum by the squared frequency; the frequency response of the
    differences, :math:`(2/\Delta t) \sin(\omega \Delta t / 2)`, is divided out exactly. See
    :func:`infrared_from_currents` for the formula and the corrections.

    Args:
        dipoles: dipole of the whole cell, shape ``(t, 3)``, e bohr, or several such runs; for a
            committee, its mean dipole; for path integrals, the mean over beads.
        timestep: time between samples, atu; lines above ``pi / timestep`` would be aliased.
        volume: volume of the cell, bohr^3; None for a molecule in vacuum, for which n alpha is not
            defined: the spectrum is then the molar absorption, whose integral over a band is the
            intensity in km/mol.
        temperature: kT, Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, number of blocks, and window.
        correction: a name of :data:`CORRECTIONS`.
        members: dipoles of each member, shape ``(n_members, t, 3)``, e bohr, or one such array per
            run.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; if given, jumps by e x lattice
            vectors are removed by :func:`~mlobs_client.analysis.branches.unwrap_dipole`. Leave it
            out if the dipole is on one branch anyway, as it is with unwrapped positions.

    Returns:
        The absorption over wavenumbers, both in cm^-1; km/mol per cm^-1 for a molecule in vacuum.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: shapes are wrong, numbers are not finite, a jump cannot be resolved, or runs
            are too short.

    Example:
        A dipole that oscillates at 1000 cm^-1 in a cell of 1000 angstrom^3::

            >>> import numpy as np
            >>> from mlobs_client.analysis import SpectrumSettings, infrared
            >>> from mlobs_client.units import ANGSTROM, FEMTOSECOND, INVERSE_CM, KELVIN
            >>> phases = 1000.0 * INVERSE_CM * FEMTOSECOND * np.arange(5000)
            >>> dipoles = 0.1 * np.cos(phases)[:, None] * [0.0, 0.0, 1.0]
            >>> settings = SpectrumSettings(resolution=50.0, n_blocks=4)
            >>> volume, kt = 1000.0 * ANGSTROM**3, 300.0 * KELVIN
            >>> found = infrared(dipoles, FEMTOSECOND, volume, kt, settings=settings)
            >>> print(f"{found.peak(800.0, 1200.0).value:.0f} {found.x_unit}")
            1000 cm^-1
    """
    check_positive("timestep", timestep, "atu")
    runs = [_differentiate(run, timestep, cell) for run in as_runs(dipoles, ("t", "3"), "dipoles")]
    member_runs = None
    if members is not None:
        member_runs = [
            np.stack([_differentiate(member, timestep, cell) for member in run])
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
    r"""Determine the infrared absorption from the time derivative of the dipole, J = d mu/dt.

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

    ``harmonic`` is the only one that fulfils the fluctuation-dissipation theorem. It is exact for
    Kubo-transformed correlation functions (path integrals), and gives the response in the classical
    limit. With it, the intensity obeys the sum rule :math:`\int_0^\infty n \alpha\, d\omega = (\pi
    / 2 c \epsilon_0 V) \sum_I q_I^2 / m_I` for particles of fixed charge.

    For a molecule in vacuum n = 1, and the cross section is alpha V. Per mole, and integrated over
    a band, :math:`A = N_A V \int \alpha\, d\tilde\nu` is
    :math:`\frac{N_A}{12 \epsilon_0 c^2} |d\mu/dQ|^2` for a harmonic normal coordinate Q: 42.256
    km/mol for 1 (debye/angstrom)^2/u.

    Args:
        currents: time derivative of the dipole, shape ``(t, 3)``, e bohr/atu, or several such runs;
            for example ``einsum("Iij,Ij->i", born_charges, velocities)``.
        timestep: time between samples, atu.
        volume: volume of the cell, bohr^3; None for a molecule in vacuum, for which n alpha is not
            defined: the spectrum is then the molar absorption, whose integral over a band is the
            intensity in km/mol.
        temperature: kT, Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        settings: resolution, number of blocks, and window.
        correction: a name of :data:`CORRECTIONS`.
        members: currents of each member, shape ``(n_members, t, 3)``, e bohr/atu, or one such array
            per run.

    Returns:
        The absorption over wavenumbers, both in cm^-1; km/mol per cm^-1 for a molecule in vacuum.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: shapes are wrong, numbers are not finite, or runs are too short for a
            spectrum.

    Source:
        Ramirez, Lopez-Ciudad, Kumar, Marx, J. Chem. Phys. 121, 3973 (2004), for the corrections and
        the consistency of the harmonic one.
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
    scale = prefactor * scipy.special.exprel(-x) * quantum_correction(correction, x)
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
        no_error=density.no_error,
        details={
            **density.details,
            "quantum correction": correction,
            "temperature (K)": temperature / KELVIN,
            **({"volume (angstrom^3)": volume / ANGSTROM**3} if volume else {}),
        },
    ).scaled(scale)


def check_correction(name: str, n_beads: int) -> None:
    """Refuse classical corrections for path integrals.

    Args:
        name: a name of :data:`CORRECTIONS`.
        n_beads: number of beads over which the dipole was averaged.

    Raises:
        ConfigError: the correction is not ``harmonic``, and there are two beads or more.
    """
    if n_beads > 1 and name != "harmonic":
        raise ConfigError(
            f"correction = {name!r} for {n_beads} beads: the mean over beads approximates the "
            "Kubo-transformed correlation function, for which only harmonic is exact; choose that"
        )


def quantum_correction(name: str, x: Array) -> Array:
    """Return the factor Q that turns a classical spectral density into a quantum one.

    Args:
        name: a name of :data:`CORRECTIONS`.
        x: beta hbar omega, shape ``(k,)``, without a unit.

    Returns:
        Shape ``(k,)``, without a unit.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in CORRECTIONS:
        raise ConfigError(f"correction = {name!r}: unknown; use one of {', '.join(CORRECTIONS)}")
    return np.asarray(CORRECTIONS[name](np.asarray(x, dtype=np.float64)))


def _members(
    member_runs: Sequence[Array], runs: Sequence[Array], timestep: float, settings: SpectrumSettings
) -> Array:
    """Return the spectral density of each member, averaged over blocks, [m, k]."""
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
        raise RecordError("members: there is 1 member, but a spread needs at least 2")
    spectra = []
    for m in range(n_members):
        of_one = [run[m] for run in member_runs]
        density = SpectralDensity.of_one_window(of_one, timestep, settings)
        spectra.append(density.blocks.mean(axis=0))
    return np.stack(spectra)


def _differentiate(dipoles: Array, timestep: float, cell: Array | None) -> Array:
    continuous = dipoles if cell is None else unwrap_dipole(dipoles, cell)
    return np.diff(continuous, axis=0) / timestep
