"""Analytic models with exact observables and derivatives: numpy only.

They stand in for networks wherever a right answer must be known: tests, first steps with i-PI,
checks of an analysis. Everything in them is in Hartree atomic units, their parameters too
(bohr, Eh, e), so no conversion can hide an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluation, Evaluator
from mlobs_client.evaluate.toys.crystal import HarmonicCrystal, random_crystal
from mlobs_client.evaluate.toys.diatomic import MorseMolecule
from mlobs_client.evaluate.toys.oscillators import ChargedOscillators
from mlobs_client.evaluate.toys.water import Qtip4pf
from mlobs_client.evaluate.toys.wells import ExternalPotential, double_well, eckart, morse_wall
from mlobs_client.structure import Structure

__all__ = [
    "TOYS",
    "ChargedOscillators",
    "ExternalPotential",
    "HarmonicCrystal",
    "MorseMolecule",
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
    "harmonic_crystal": HarmonicCrystal,
    "morse_molecule": MorseMolecule,
    "morse_wall": morse_wall,
    "qtip4pf": Qtip4pf,
}


def make_toy(
    name: str, parameters: Mapping[str, Any], only: frozenset[str] | None = None
) -> Evaluator:
    """Make a toy from a client file.

    Args:
        name: from :data:`TOYS`.
        parameters: of its constructor, Hartree atomic units.
        only: the observables that it may provide; None is all. A dipole next to another
            potential must not provide its energy too.

    Raises:
        ConfigError: there is no such toy, it has no such parameter, one is missing or wrong, or
            it cannot provide ``only``.
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
        toy = TOYS[name](**parameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the toy {name!r} cannot use {dict(parameters)}: {error}") from error
    if only is None:
        return toy
    if lacking := only - toy.provides:
        raise ConfigError(
            f"the toy {name!r} does not give {', '.join(sorted(lacking))}; it gives "
            f"{', '.join(sorted(toy.provides))}"
        )
    return _Restricted(toy, only)


@dataclass(frozen=True)
class _Restricted:
    """Some of the observables of an evaluator."""

    evaluator: Evaluator
    provides: frozenset[str]

    def __call__(self, structures: Sequence[Structure], wanted: frozenset[str]) -> Evaluation:
        return self.evaluator(structures, wanted)
