"""Our factors against ASE, which read CODATA on its own, and against numbers that people know."""

from __future__ import annotations

import ase.units
import pytest

from mlobs_client import units
from mlobs_client.errors import ConfigError

# ASE has CODATA 2014, scipy newer ones: Boltzmann's constant moved most, by 3e-7
CODATA = 1e-6


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (units.ANGSTROM, 1.0 / ase.units.Bohr),
        (units.EV, 1.0 / ase.units.Hartree),
        (units.FEMTOSECOND, ase.units.fs / ase.units.AUT),
        (units.KELVIN, ase.units.kB / ase.units.Hartree),
        (units.DALTON, ase.units._amu / ase.units._me),
        (units.DEBYE, ase.units.Debye / ase.units.Bohr),
        (units.VOLT_PER_ANGSTROM, ase.units.Bohr / ase.units.Hartree),
        (units.INVERSE_CM, ase.units.invcm / ase.units.Hartree),
    ],
)
def test_factors_agree_with_ase(ours: float, theirs: float) -> None:
    assert ours == pytest.approx(theirs, rel=CODATA)


@pytest.mark.parametrize(
    ("ours", "known", "digit"),
    [
        (1.0 / units.VOLT_PER_ANGSTROM, 51.422, 1e-3),
        (1.0 / units.DEBYE, 2.5417, 1e-4),
        (0.5 * 300.0 * units.KELVIN / units.EV, 12.9260e-3, 1e-7),
        (1.0 / units.INVERSE_CM, 219474.63, 1e-2),
        (1.0 / units.FEMTOSECOND, 0.0241888, 1e-7),
        # 1 Eh atu/bohr^3 = 29421.0 GPa x 2.41888e-17 s = 0.711659 mPa s
        (1.0 / units.MILLIPASCAL_SECOND, 0.711659, 2e-5),
        (units.EV / units.INVERSE_CM, 8065.54, 1e-2),
        (units.SPEED_OF_LIGHT, 137.036, 1e-3),
        (0.01 / units.MICROCOULOMB_PER_CM2, 57.2148, 1e-4),  # e/bohr^2 in C/m^2
    ],
)
def test_factors_are_the_numbers_that_people_know(ours: float, known: float, digit: float) -> None:
    assert ours == pytest.approx(known, abs=digit)


def test_units_of_the_field_are_multiples_of_each_other() -> None:
    fields = units.FIELD_UNITS
    assert 10.0 * fields["V/nm"] == pytest.approx(fields["V/angstrom"])
    assert 100.0 * fields["MV/cm"] == pytest.approx(fields["V/angstrom"])
    assert fields["atomic_unit"] == 1.0


def test_one_debye_is_the_same_in_both_dipole_units() -> None:
    # 1 e angstrom = 4.80320 debye
    dipoles = units.DIPOLE_UNITS
    assert dipoles["e*angstrom"] / dipoles["debye"] == pytest.approx(4.80320, abs=1e-5)


def test_polarizabilities_convert_with_the_cube_of_lengths() -> None:
    # water: 1.45 angstrom^3 = 9.78 bohr^3
    assert 1.45 * units.POLARIZABILITY_UNITS["angstrom^3"] == pytest.approx(9.785, abs=1e-3)


def test_an_unknown_unit_names_the_place_and_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"client.toml \[field\]: unknown unit 'V/m'; use one of"):
        units.factor("V/m", units.FIELD_UNITS, "client.toml [field]")
    assert units.factor("debye", units.DIPOLE_UNITS, "here") == units.DEBYE
