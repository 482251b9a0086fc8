"""Analytic models with exact observables and derivatives, in numpy only.

They replace networks wherever the exact answer must be known: in tests, in first steps with i-PI,
and in checks of an analysis. All quantities and parameters are in Hartree atomic units (bohr, Eh,
e), so that no conversion can hide an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.toys.crystal import HarmonicCrystal, random_crystal
from mlobs_client.evaluate.toys.diatomic import MorseMolecule
from mlobs_client.evaluate.toys.ferroelectric import FerroelectricCrystal
from mlobs_client.evaluate.toys.oscillators import ChargedOscillators
from mlobs_client.evaluate.toys.piezoelectric import PiezoelectricCrystal
from mlobs_client.evaluate.toys.water import Qtip4pf
from mlobs_client.evaluate.toys.wells import ExternalPotential, double_well, eckart, morse_wall

__all__ = [
    "TOYS",
    "ChargedOscillators",
    "ExternalPotential",
    "FerroelectricCrystal",
    "HarmonicCrystal",
    "MorseMolecule",
    "PiezoelectricCrystal",
    "Qtip4pf",
    "double_well",
    "eckart",
    "make_toy",
    "morse_wall",
    "random_crystal",
]

TOYS: Final[Mapping[str, Callable[..., Evaluator]]] = {
    "charged_oscillators": ChargedOscillators,
    "double_well": double_well,
    "eckart": eckart,
    "ferroelectric_crystal": FerroelectricCrystal,
    "harmonic_crystal": HarmonicCrystal,
    "morse_molecule": MorseMolecule,
    "morse_wall": morse_wall,
    "piezoelectric_crystal": PiezoelectricCrystal,
    "qtip4pf": Qtip4pf,
}


def make_toy(name: str, parameters: Mapping[str, Any]) -> Evaluator:
    """Make a toy from a client file.

    Args:
        name: a name of :data:`TOYS`.
        parameters: parameters of its constructor, Hartree atomic units.

    Raises:
        ConfigError: there is no such toy, it has no such parameter, or a parameter is missing or
            wrong.
    """
    if name not in TOYS:
        raise ConfigError(f"there is no toy {name!r}; use one of {', '.join(TOYS)}")
    known = inspect.signature(TOYS[name]).parameters
    if unknown := [key for key in parameters if key not in known]:
        raise ConfigError(
            f"the toy {name!r} has no parameter {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        )
    missing = [key for key, p in known.items() if p.default is p.empty and key not in parameters]
    if missing:
        raise ConfigError(f"the toy {name!r} needs the parameter {missing[0]!r}")
    for key, value in parameters.items():
        if known[key].annotation == "float" and not isinstance(value, int | float):
            raise ConfigError(f"the toy {name!r} needs a number for {key!r}, got {value!r}")
    try:
        return TOYS[name](**parameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the toy {name!r} cannot use {dict(parameters)}: {error}") from error
