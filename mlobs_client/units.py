"""All conversion factors of the project (CODATA, from scipy).

A factor is the value of its unit in atomic units: ``length * ANGSTROM`` turns a length in
angstrom into bohr, ``length / ANGSTROM`` turns bohr into angstrom.

Units are converted in three places only: in ``evaluate`` (models use eV and angstrom), in the
results of ``analysis``, and in the command line and its files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from scipy.constants import physical_constants

from mlobs_client.errors import ConfigError


def _codata(name: str) -> float:
    return float(physical_constants[name][0])


ANGSTROM: Final = 1e-10 / _codata("Bohr radius")
EV: Final = 1.0 / _codata("Hartree energy in eV")
FEMTOSECOND: Final = 1e-15 / _codata("atomic unit of time")
PICOSECOND: Final = 1000.0 * FEMTOSECOND
KELVIN: Final = _codata("kelvin-hartree relationship")
DALTON: Final = _codata("atomic mass constant") / _codata("electron mass")
DEBYE: Final = 1e-21 / 299792458.0 / _codata("atomic unit of electric dipole mom.")
VOLT_PER_ANGSTROM: Final = 1e10 / _codata("atomic unit of electric field")
INVERSE_CM: Final = 100.0 * _codata("inverse meter-hartree relationship")
"""Energy of a wavenumber of 1 cm^-1 in Eh, which is also its angular frequency in rad/atu."""

SPEED_OF_LIGHT: Final = _codata("inverse fine-structure constant")
"""Speed of light, bohr/atu."""
INVERSE_EPSILON_0: Final = 4.0 * math.pi
"""One over the vacuum permittivity, in atomic units."""

MICROCOULOMB_PER_CM2: Final = 1e-2 * _codata("Bohr radius") ** 2 / _codata("atomic unit of charge")

MILLIPASCAL_SECOND: Final = (
    1e-3 * _codata("Bohr radius") ** 3 / _codata("Hartree energy") / _codata("atomic unit of time")
)
"""Unit of viscosity, Eh atu/bohr^3."""

FIELD_UNITS: Final = {
    "V/angstrom": VOLT_PER_ANGSTROM,
    "V/nm": 0.1 * VOLT_PER_ANGSTROM,
    "MV/cm": 0.01 * VOLT_PER_ANGSTROM,
    "atomic_unit": 1.0,
}
DIPOLE_UNITS: Final = {"e*angstrom": ANGSTROM, "debye": DEBYE, "atomic_unit": 1.0}
VELOCITY_UNITS: Final = {
    "angstrom/fs": ANGSTROM / FEMTOSECOND,
    "angstrom/ps": ANGSTROM / PICOSECOND,
    "nm/ps": 10.0 * ANGSTROM / PICOSECOND,
    "m/s": 1e10 * ANGSTROM / (1e15 * FEMTOSECOND),
    "atomic_unit": 1.0,
}
POLARIZABILITY_UNITS: Final = {"angstrom^3": ANGSTROM**3, "atomic_unit": 1.0}


class UserUnit(NamedTuple):
    """A unit that users see, the same as in ASE.

    Attributes:
        name: name of the unit.
        factor: its value in atomic units.
        others: values of other units that files may have, by the names that users write.
    """

    name: str
    factor: float
    others: Mapping[str, float] = MappingProxyType({})


USER_UNITS: Final[Mapping[str, UserUnit]] = {
    "Eh": UserUnit("eV", EV),
    "Eh/bohr": UserUnit("eV/angstrom", EV / ANGSTROM),
    "Eh/bohr^3": UserUnit("eV/angstrom^3", EV / ANGSTROM**3),
    "e": UserUnit("e", 1.0),
    "bohr": UserUnit("angstrom", ANGSTROM),
    "e bohr": UserUnit("e angstrom", ANGSTROM, DIPOLE_UNITS),
    "bohr^2": UserUnit("angstrom^2", ANGSTROM**2),
    "bohr^3": UserUnit("angstrom^3", ANGSTROM**3, POLARIZABILITY_UNITS),
}
"""Units that users see, by the name of the atomic unit."""


def factor(unit: str, known: Mapping[str, float], where: str) -> float:
    """Return the factor that turns ``unit`` into atomic units.

    Args:
        unit: a name in ``known``.
        known: factors by the names of units, such as :data:`FIELD_UNITS`.
        where: the setting that the user has to change, for the error.

    Raises:
        ConfigError: ``unit`` is not in ``known``.
    """
    try:
        return known[unit]
    except KeyError:
        raise ConfigError(
            f"{where}: unknown unit {unit!r}; use one of {', '.join(known)}"
        ) from None
