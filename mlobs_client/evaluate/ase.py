"""Use any ASE calculator as an evaluator; eV and angstrom are converted here."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self, get_args, get_type_hints

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress

from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.evaluation import TabulatedEvaluation, Values
from mlobs_client.evaluate.model_files import require_trust
from mlobs_client.evaluate.parameter_files import that_can_run_code
from mlobs_client.quantities import QUANTITIES, predicted
from mlobs_client.structure import Array, Structure, to_atoms
from mlobs_client.units import ANGSTROM, EV

logger = logging.getLogger(__name__)

Jacobian = Mapping[str, tuple[Array, Array | None]]


class AseEvaluator:
    """Energy, forces and strain derivative of an ASE calculator, and observables if it has any.

    Where the calculator distinguishes them, the energy is the *free energy* of the electrons,
    because the forces are its derivative. There is a strain derivative if the calculator gives a
    stress for the structure. Properties named like an observable of
    :func:`mlobs_client.quantities.predicted`, such as the dipole, have no derivative.

    Args:
        calculator: any ASE calculator; the evaluator makes its own atoms for it.

    Raises:
        ConfigError: the calculator has no energy or no forces.
    """

    def __init__(self, calculator: BaseCalculator) -> None:
        self._calculator = calculator
        self._known = frozenset(calculator.implemented_properties)
        self._name = type(calculator).__name__
        if not self._known >= {"energy", "forces"}:
            raise ConfigError(
                f"the ASE calculator {self._name} implements {', '.join(sorted(self._known))}; a "
                "potential needs energy and forces"
            )
        self.provides = self._known & {row.name for row in predicted()}

    @classmethod
    def from_import_path(cls, path: str, parameters: Mapping[str, Any]) -> Self:
        """Make the evaluator of a calculator that is named by its import path, as in a client file.

        The module is imported, which runs its code; after that, only a subclass of ASE's
        calculators is called.

        Args:
            path: import path, for example ``"ase.calculators.lj.LennardJones"``.
            parameters: parameters of its constructor, in ASE's units (eV, angstrom).

        Raises:
            ConfigError: there is no such class, it is not a subclass of ASE's calculators, or it
                does not take these parameters.
            ModelError: the parameters name models that are not trusted.
        """
        kind = _find_class(path)
        require_trust(that_can_run_code(parameters))
        try:
            calculator = kind(**parameters)
        except Exception as error:  # constructors of calculators raise anything
            raise ConfigError(
                f"{path} cannot be made with parameters {dict(parameters)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        _warn_of_unknown(calculator, path, parameters)
        return cls(calculator)

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> TabulatedEvaluation:
        rows = [self._observe(structure, wanted) for structure in structures]
        return TabulatedEvaluation([values for values, _ in rows], [j for _, j in rows])

    def _observe(self, structure: Structure, wanted: frozenset[str]) -> tuple[Values, Jacobian]:
        atoms = to_atoms(structure.numbers, structure.positions, structure.cell, structure.pbc)
        values: dict[str, Array] = {}
        jacobian: dict[str, tuple[Array, Array | None]] = {}
        if "energy" in wanted:
            name = "free_energy" if "free_energy" in self._known else "energy"
            values["energy"] = self._get(name, atoms) * EV
            gradient = -self._get("forces", atoms) * EV / ANGSTROM
            jacobian["energy"] = (gradient, self._strain_derivative(atoms))
        for name in wanted - {"energy"}:
            values[name] = self._get(name, atoms) * QUANTITIES[name].to_users.factor
        return values, jacobian

    def _strain_derivative(self, atoms: Atoms) -> Array | None:
        if "stress" not in self._known or atoms.cell.rank < 3:
            return None
        try:
            stress = self._get("stress", atoms)
        except EvaluationError as error:
            if isinstance(error.__cause__, PropertyNotImplementedError):
                return None
            raise
        if stress.shape == (6,):
            stress = voigt_6_to_full_3x3_stress(stress)
        return np.asarray(stress * atoms.get_volume() * EV)

    def _get(self, name: str, atoms: Atoms) -> Array:
        try:
            return np.array(self._calculator.get_property(name, atoms), dtype=np.float64)
        except Exception as error:  # calculators raise anything, from a missing program to LAPACK
            raise EvaluationError(
                f"the ASE calculator {self._name} gave no {name}: {type(error).__name__}: {error}"
            ) from error


def _find_class(path: str) -> type[BaseCalculator]:
    module, _, name = path.rpartition(".")
    try:
        target = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module is code, which raises anything
        raise ConfigError(
            f"calculator = {path!r} cannot be imported ({type(error).__name__}: {error}); write "
            'module and class, as in "ase.calculators.lj.LennardJones", and install the package '
            "that contains it"
        ) from error
    if inspect.isclass(target) and issubclass(target, BaseCalculator):
        return target
    what = f"a {type(target).__name__}, and only a subclass of ASE's calculators is called"
    if inspect.isclass(target):
        what = "a class, but not a subclass of ASE's calculators"
    raise ConfigError(
        f"calculator = {path!r} is not an ASE calculator: it is {what}; {_advice(target)}"
    )


def _advice(target: object) -> str:
    """Return advice on which class to write in place of what was found."""
    if inspect.isclass(target) or not callable(target):
        return 'write module and class, as in "ase.calculators.lj.LennardJones"'
    try:
        promised = get_type_hints(target).get("return")
    except Exception:  # names that are imported for type checkers only, or no annotations at all
        promised = None
    for kind in get_args(promised) or (promised,):
        if inspect.isclass(kind) and issubclass(kind, BaseCalculator):
            return (
                f'write the class that it returns, "{kind.__module__}.{kind.__qualname__}", with '
                "the parameters of that class"
            )
    return (
        "write the class that it returns, with the parameters of that class: to find it, call the "
        "function once in Python, and print(type(calculator))"
    )


def _warn_of_unknown(calculator: BaseCalculator, path: str, parameters: Mapping[str, Any]) -> None:
    """Warn about unknown parameters: many ASE calculators ignore them without an error.

    The defaults of a calculator are not a complete list, so this is only a warning.
    """
    defaults = getattr(calculator, "default_parameters", {})
    known = {*defaults, *inspect.signature(type(calculator)).parameters}
    for name in parameters:
        if defaults and name not in known:
            logger.warning(
                "%s may not know the parameter %r and ignore it; it has defaults for %s",
                path,
                name,
                ", ".join(sorted(defaults)),
            )
