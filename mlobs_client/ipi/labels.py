"""Translate labels of i-PI, such as ``H``, ``D``, ``O18`` and ``L``, into elements and masses.

The readers of outputs, the checks and the readers of structure files share this table.

Source:
    i-PI 3.3.1, ``Elements`` in ``ipi/utils/units.py``: its table of masses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from mlobs_client.structure import Array, Integers
from mlobs_client.units import DALTON

# Z is between H and D. X and L are not atoms: the latter is the photon of a cavity.
_OTHER_NAMES: Final = {"D": "H", "T": "H", "Z": "H", "L": "X"}


def element(label: str) -> str:
    """Return the chemical symbol of a label, ``X`` for a particle that is not an atom.

    Raises:
        ValueError: it is neither a chemical symbol nor a label of i-PI.
    """
    from ase.data import atomic_numbers

    symbol = label.rstrip("0123456789")
    symbol = _OTHER_NAMES.get(symbol, symbol)
    if symbol not in atomic_numbers:
        raise ValueError(f"unknown species {label!r}; use chemical symbols, or D, T, O18 ...")
    return symbol


def are_isotopes(labels: tuple[str, ...]) -> bool:
    """Return whether a label names an isotope, such as ``D`` or ``O18``."""
    return any(label != "L" and label != element(label) for label in set(labels))


@lru_cache(maxsize=16)
def numbers_of(labels: tuple[str, ...]) -> Integers:
    """Return atomic numbers, shape ``(n_atoms,)``, read-only, 0 for particles that are not atoms.

    Raises:
        ValueError: see :func:`element`.
    """
    from ase.data import atomic_numbers

    numbers: Integers = np.array([atomic_numbers[element(label)] for label in labels], np.int64)
    numbers.flags.writeable = False  # the frames of a trajectory share it
    return numbers


def masses_of(labels: tuple[str, ...]) -> Array:
    """Return the masses that i-PI assigns to these labels, shape ``(n_atoms,)``, electron masses.

    An isotope that i-PI does not know has its mass number as mass (u), and an element beyond i-PI's
    table has its standard atomic mass.

    Raises:
        ValueError: see :func:`element`.
    """
    return np.array([_mass(label) for label in labels]) * DALTON


@lru_cache(maxsize=256)
def _mass(label: str) -> float:
    from ase.data import atomic_masses, atomic_numbers
    from ipi.utils.units import Elements

    if label in Elements.mass_list:
        return float(Elements.mass_list[label])
    symbol = element(label)
    isotope = label[len(label.rstrip("0123456789")) :]
    return float(isotope) if isotope else float(atomic_masses[atomic_numbers[symbol]])
