"""Particles in one-dimensional potentials pinned in space: the wells and barriers of textbooks.

Each particle moves in a profile along one axis and in harmonic wells along the other two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.jet import Jet, JetEvaluator, fixed_charges
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, EV, INVERSE_CM

Profile = Callable[[Array], tuple[Array, Array]]
"""A function of coordinates (bohr) that gives energies (Eh) and their derivatives (Eh/bohr)."""


class ExternalPotential(JetEvaluator):
    """An external potential that is the same for every atom, in Hartree atomic units.

    The dipole is charge times position. The energy has no strain derivative, because the
    potential does not follow the cell.

    Args:
        profile: potential along ``axis``.
        axis: 0, 1 or 2 for x, y or z.
        wall_constant: force constant along the other two axes, Eh/bohr^2.
        charge: charge of each atom, e.

    Raises:
        ConfigError: there is no such axis.
    """

    provides = frozenset({"energy", "dipole", "born_charges"})

    def __init__(self, profile: Profile, axis: int, wall_constant: float, charge: float) -> None:
        if axis not in (0, 1, 2):
            raise ConfigError(f"axis must be 0, 1 or 2 for x, y or z, got {axis!r}")
        self._profile = profile
        self._axis = axis
        self._walls = wall_constant * (np.arange(3) != axis)
        self._charge = charge

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        R = structure.positions
        energies, slopes = self._profile(R[:, self._axis])
        gradient = self._walls * R
        energy = np.asarray(np.sum(energies) + 0.5 * np.sum(gradient * R))
        gradient[:, self._axis] = slopes
        return {
            "energy": Jet(energy, gradient),
            **fixed_charges(np.full(len(R), self._charge), R),
        }


def double_well(
    minimum: float = 1.99641,
    barrier: float = 2085.0 * INVERSE_CM,
    axis: int = 0,
    wall_constant: float = 0.5517,
    charge: float = 1.0,
) -> ExternalPotential:
    """Make a quartic double well, whose energy is zero at the top of the barrier.

    The defaults are those of i-PI's driver ``doublewell_1D``.

    Args:
        minimum: distance of the minima from the barrier, bohr.
        barrier: height of the barrier above the minima, Eh.
        axis: 0, 1 or 2 for x, y or z.
        wall_constant: force constant along the other two axes, Eh/bohr^2.
        charge: charge of each atom, e.

    Source:
        Craig and Manolopoulos, J. Chem. Phys. 122, 084106 (2005), as quoted in i-PI.
    """

    def profile(x: Array) -> tuple[Array, Array]:
        y = x / minimum
        return barrier * (y**4 - 2.0 * y**2), 4.0 * barrier / minimum * (y**3 - y)

    return ExternalPotential(profile, axis, wall_constant, charge)


def eckart(
    height: float = 9.10865e-3,
    width: float = 0.66047,
    axis: int = 0,
    wall_constant: float = 0.5517,
    charge: float = 1.0,
) -> ExternalPotential:
    """Make a symmetric Eckart barrier, height / cosh(x / width)^2.

    Args:
        height: height of the barrier, Eh.
        width: width of the barrier, bohr.
        axis: 0, 1 or 2 for x, y or z.
        wall_constant: force constant along the other two axes, Eh/bohr^2.
        charge: charge of each atom, e.
    """

    def profile(x: Array) -> tuple[Array, Array]:
        # a decaying exponential does not overflow far away, as cosh does
        decay = np.exp(-2.0 * np.abs(x) / width)
        energy = 4.0 * height * decay / (1.0 + decay) ** 2
        return energy, -2.0 / width * np.tanh(x / width) * energy

    return ExternalPotential(profile, axis, wall_constant, charge)


def morse_wall(
    depth: float = 0.2 * EV,
    exponent: float = 0.75 / ANGSTROM,
    centre: float = 0.0,
    axis: int = 2,
    wall_constant: float = EV / ANGSTROM**2,
    charge: float = 1.0,
) -> ExternalPotential:
    """Make a quartic expansion of a Morse well, as in i-PI's driver ``MorseHarmonic``.

    Args:
        depth: depth of the Morse well, Eh.
        exponent: exponent of the Morse well, 1/bohr.
        centre: centre of the well, bohr.
        axis: 0, 1 or 2 for x, y or z.
        wall_constant: force constant along the other two axes, Eh/bohr^2.
        charge: charge of each atom, e.
    """

    def profile(x: Array) -> tuple[Array, Array]:
        energy, slope = quartic_morse(exponent * (x - centre))
        return depth * energy, depth * exponent * slope

    return ExternalPotential(profile, axis, wall_constant, charge)


def quartic_morse(x: Array) -> tuple[Array, Array]:
    """Return (1 - exp(-x))^2 up to the order x^4, and its derivative, in the shape of x."""
    return x**2 - x**3 + 7.0 / 12.0 * x**4, 2.0 * x - 3.0 * x**2 + 7.0 / 3.0 * x**3
