"""Absolute infrared intensities: sum rules, numbers of others, exact quantum results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.constants import (
    Avogadro,
    atomic_mass,
    elementary_charge,
    epsilon_0,
    speed_of_light,
)

from mlobs_client.analysis.vibrations.infrared import (
    CORRECTIONS,
    infrared,
    infrared_from_currents,
    quantum_correction,
)
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.units import ANGSTROM, DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

Array = npt.NDArray[np.float64]
TIMESTEP = 1.0 * FEMTOSECOND
VOLUME = (10.0 * ANGSTROM) ** 3
TEMPERATURE = 300.0 * KELVIN
SETTINGS = SpectrumSettings(resolution=30.0, n_blocks=4)
CELL = np.array([[9.0, 0.4, -1.1], [2.3, 8.0, 0.7], [-0.6, 1.9, 11.0]])


def spectrum(dipoles: Any, **options: Any) -> Curve:
    return infrared(dipoles, TIMESTEP, VOLUME, TEMPERATURE, **{"settings": SETTINGS, **options})


def thermal_dipole(
    wavenumber: float, charge: float, temperature: float = TEMPERATURE, n_samples: int = 12_000
) -> Array:
    """A charge of 1 Da in an isotropic well, each axis at its thermal energy: <v^2> = kT/m."""
    omega = wavenumber * INVERSE_CM
    t = TIMESTEP * np.arange(n_samples)[:, None]
    amplitude = np.sqrt(2.0 * temperature / DALTON) / omega
    return np.asarray(charge * amplitude * np.cos(omega * t + np.array([0.1, 1.2, 2.9])))


def in_km_per_mol(area: float) -> float:
    """From the integral of alpha (Napierian, cm^-2) for one molecule in VOLUME."""
    molar = 1.0 / (Avogadro * (10.0e-8) ** 3)  # mol/cm^3
    return area / molar * 1e-5


@pytest.mark.parametrize("wavenumber", [300.0, 1500.0, 4000.0])
def test_the_absorption_of_a_charged_oscillator_is_that_of_quantum_chemistry(
    wavenumber: float,
) -> None:
    area = spectrum(thermal_dipole(wavenumber, 0.7)).integral(100, 4500)
    # 42.255 km/mol per (debye/angstrom)^2/Da: Porezag and Pederson, PRB 54, 7830 (1996), as in
    # ase.vibrations; 1 e = 4.80320 debye/angstrom; three modes with d mu/dQ = 0.7 e/sqrt(Da).
    expected = 3 * 42.255 * (0.7 * 4.80320) ** 2
    # blocks that hold a broken number of periods
    assert in_km_per_mol(area.value) == pytest.approx(expected, rel=0.01)


def test_a_band_of_a_molecule_has_its_intensity_in_km_per_mol() -> None:
    # whole periods in each block: 33356.41/1667.8205 = 20 samples of 1 fs
    wavenumber, charge = 1667.8205, 0.7
    dipole = thermal_dipole(wavenumber, charge, n_samples=12_001)  # 12000 differences
    molecule = infrared(dipole, TIMESTEP, None, TEMPERATURE, settings=SETTINGS)
    area = molecule.integral(100, 4500)
    assert (molecule.unit, area.unit) == ("km/mol/cm^-1", "km/mol")
    # N_A/(12 epsilon_0 c^2) |d mu/dQ|^2 in SI units, of three modes; 1000 m in a km
    per_mode = Avogadro * (charge * elementary_charge) ** 2 / atomic_mass
    expected = 3 * per_mode / (12 * epsilon_0 * speed_of_light**2) / 1000.0
    # the rest of the Parzen window lies beyond 100 and 4500 cm^-1
    assert area.value == pytest.approx(expected, rel=5e-4)
    # 42.2561 km/mol for 1 (debye/angstrom)^2/u
    assert expected == pytest.approx(3 * 42.2561 * (charge * 4.803205) ** 2, rel=1e-5)


def test_the_intensity_of_a_molecule_is_that_of_one_in_any_volume() -> None:
    dipole = thermal_dipole(1500.0, 0.7)
    molecule = infrared(dipole, TIMESTEP, None, TEMPERATURE, settings=SETTINGS)
    area = spectrum(dipole).integral(100, 4500).value
    assert molecule.integral(100, 4500).value == pytest.approx(in_km_per_mol(area), rel=1e-9)


def test_the_integral_does_not_depend_on_temperature_or_on_the_harmonic_correction() -> None:
    areas = []
    for temperature in (100 * KELVIN, 900 * KELVIN):
        dipole = thermal_dipole(1500.0, 1.0, temperature)
        one = infrared(dipole, TIMESTEP, VOLUME, temperature, settings=SETTINGS)
        areas.append(one.integral(1000, 2000).value)
    assert areas[0] == pytest.approx(areas[1], rel=1e-9)


def test_a_thermal_trajectory_gives_the_sum_rule_within_its_error(
    langevin: Callable[..., tuple[Array, Array]],
) -> None:
    omega_0, friction = 1000 * INVERSE_CM, 100 * INVERSE_CM
    x, _ = langevin(omega_0, friction, TEMPERATURE / DALTON, TIMESTEP, 30_000, 60, seed=11)
    settings = SpectrumSettings(resolution=30.0, n_blocks=10)
    expected = 3 * 42.255 * 4.80320**2  # km/mol, as above
    pulls = []
    for i in range(0, 60, 3):
        area = spectrum(x[:, i : i + 3], settings=settings).integral(0, 16_000)
        pulls.append((in_km_per_mol(area.value) - expected) / in_km_per_mol(area.error))
    # 20 pulls of width 1.1 (Student, 9 degrees of freedom): mean to 0.25, width to 0.2; noise
    # in the velocity makes finite differences lose (friction x timestep) / 3 = 0.6 % of kT/m
    assert abs(np.mean(pulls)) < 0.9
    assert 0.6 < np.std(pulls) < 1.7


def test_the_finite_difference_is_divided_out() -> None:
    coarse = 2.0 * FEMTOSECOND  # 3900 cm^-1 has 4.3 samples per period: the difference loses 17 %
    omega = 3900 * INVERSE_CM
    t = coarse * np.arange(8000)[:, None]
    phases = np.array([0.0, 0.7, 1.9])
    given = {"timestep": coarse, "volume": VOLUME, "temperature": TEMPERATURE, "settings": SETTINGS}
    from_dipole = infrared(np.cos(omega * t + phases), **given)  # type: ignore[arg-type]
    exact = infrared_from_currents(-omega * np.sin(omega * t + phases), **given)  # type: ignore[arg-type]
    ratio = from_dipole.integral(3700, 4100).value / exact.integral(3700, 4100).value
    # lines of 30 cm^-1 at 3900: the correction varies by 0.2 % over the line
    assert ratio == pytest.approx(1.0, abs=3e-3)
    assert from_dipole.peak(3700, 4100).value == pytest.approx(3900, abs=1.0)


def test_a_constant_dipole_changes_nothing() -> None:
    dipole = thermal_dipole(900.0, 0.5)
    shifted = spectrum(dipole + np.array([300.0, -50.0, 7.0]))
    # rounding of 300 in the differences, squared at the line
    np.testing.assert_allclose(
        shifted.blocks, spectrum(dipole).blocks, atol=1e-8 * shifted.mean.max()
    )


def test_jumps_of_branch_change_nothing_when_the_cell_is_known() -> None:
    dipole = thermal_dipole(900.0, 20.0)
    wrapped = (np.linalg.solve(CELL.T, dipole.T).T % 1.0) @ CELL
    assert np.abs(np.diff(wrapped, axis=0)).max() > 5.0
    right = spectrum(dipole)
    np.testing.assert_allclose(
        spectrum(wrapped, cell=CELL).blocks, right.blocks, atol=1e-8 * right.mean.max()
    )
    assert spectrum(wrapped).integral(0, 4000).value > 1.5 * right.integral(0, 4000).value


@pytest.mark.parametrize("name", ["harmonic", "standard", "schofield"])
def test_corrected_spectra_fulfil_detailed_balance(name: str) -> None:
    x = np.linspace(0.1, 20.0, 50)
    ratio = quantum_correction(name, x) / quantum_correction(name, -x)
    np.testing.assert_allclose(ratio, np.exp(x), rtol=1e-12)


@pytest.mark.parametrize("name", list(CORRECTIONS))
def test_all_corrections_vanish_at_high_temperature(name: str) -> None:
    # all are 1 + O(x)
    assert quantum_correction(name, np.array([1e-9]))[0] == pytest.approx(1.0, abs=1e-8)


def test_the_harmonic_correction_is_exact_for_a_harmonic_oscillator() -> None:
    x = 2.3  # hbar omega / kT; matrix elements |<n|q|n+1>|^2 = (n + 1)/2, hbar = m = omega = 1
    n = np.arange(200)
    populations = np.exp(-x * n) / np.sum(np.exp(-x * n))
    absorbing = np.sum(populations * (n + 1) / 2)
    classical = (1 / x) / 2  # <q^2> = kT/(m omega^2), one half of it at +omega
    correction = quantum_correction("harmonic", np.array([x]))[0]
    assert correction == pytest.approx(absorbing / classical, rel=1e-12)


def test_corrections_scale_the_absorption_as_documented() -> None:
    x = 1500 * INVERSE_CM / TEMPERATURE
    factors = {
        "harmonic": 1.0,
        "standard": np.tanh(x / 2) / (x / 2),
        "schofield": np.sinh(x / 2) / (x / 2),
        "none": (1 - np.exp(-x)) / x,
    }
    dipole = thermal_dipole(1500.0, 1.0)
    spectra = {name: spectrum(dipole, correction=name) for name in factors}
    at_line = int(np.argmin(np.abs(spectra["none"].x - 1500)))
    for name, factor in factors.items():
        ratio = spectra[name].mean[at_line] / spectra["harmonic"].mean[at_line]
        # the grid point is within 3 cm^-1 of 1500, where x changes by 0.2 %
        assert ratio == pytest.approx(factor, rel=0.01)


def test_the_spread_of_members_that_differ_in_their_charge_is_that_of_the_charges() -> None:
    dipole = thermal_dipole(1500.0, 1.0)
    charges = np.array([0.9, 1.0, 1.2])
    one = spectrum(dipole, members=charges[:, None, None] * dipole)
    assert one.spread is not None
    at_line = int(np.argmax(one.mean))
    spread = one.spread[at_line] / one.mean[at_line]
    assert spread == pytest.approx(np.std(charges**2, ddof=1), rel=1e-9)
    assert spectrum(dipole).spread is None


def test_members_of_several_runs_are_averaged_over_the_runs() -> None:
    runs = [thermal_dipole(1500.0, 1.0, n_samples=n) for n in (6000, 9000)]
    members = [np.stack([0.9 * run, 1.1 * run]) for run in runs]
    one = spectrum(runs, members=members)
    assert one.members is not None
    np.testing.assert_allclose(one.members[0], 0.81 * one.mean, rtol=1e-9)


def test_impossible_input_is_refused() -> None:
    dipole = thermal_dipole(1500.0, 1.0)
    with pytest.raises(ConfigError, match="correction = 'kubo': unknown; use one of harmonic, st"):
        spectrum(dipole, correction="kubo")
    with pytest.raises(ConfigError, match=r"300 Eh is .* K; multiply kelvin"):
        infrared(dipole, TIMESTEP, VOLUME, 300, settings=SETTINGS)
    with pytest.raises(ConfigError, match=r"volume = -1"):
        infrared(dipole, TIMESTEP, -1, TEMPERATURE, settings=SETTINGS)
    with pytest.raises(ConfigError, match=r"timestep = -2.0"):
        infrared(dipole, -2.0, VOLUME, TEMPERATURE, settings=SETTINGS)
    with pytest.raises(RecordError, match="20 samples are too few for a spectrum"):
        spectrum(dipole[:21])
    with pytest.raises(RecordError, match=r"members: there is 1 member"):
        spectrum(dipole, members=dipole[None])
    with pytest.raises(RecordError, match="same members and samples"):
        spectrum(dipole, members=np.stack([dipole, dipole])[:, :-1])
    dipole[5, 0] = np.nan
    with pytest.raises(RecordError, match=r"dipoles\[5, 0\] is nan"):
        spectrum(dipole)
