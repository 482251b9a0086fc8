"""The dipole of formal charges, without a network: alone, or added to that of a toy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import (
    Evaluation,
    Evaluator,
    Gradient,
    Values,
)
from mlobs_client.evaluate.jet import Jet, JetEvaluator, fixed_charges
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Structure


class FormalCharges(JetEvaluator):
    r"""The dipole :math:`e \sum_I N_I R_I`, and Born charges :math:`N_I`.

    Args:
        numbers: the oxidation numbers N.
    """

    provides = frozenset({"dipole", "born_charges"})

    def __init__(self, numbers: OxidationNumbers) -> None:
        self._numbers = numbers

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        return fixed_charges(self._numbers.of(structure).astype(float), structure.positions)


class WithFormalCharges:
    """The sum of the dipole of an evaluator and that of formal charges.

    Args:
        evaluator: an analytic evaluator with a dipole.
        numbers: the oxidation numbers N.

    Raises:
        ConfigError: the evaluator has no dipole.
    """

    def __init__(self, evaluator: Evaluator, numbers: OxidationNumbers) -> None:
        self.provides = evaluator.provides & FormalCharges.provides
        if "dipole" not in self.provides:
            raise ConfigError(
                "[dipole]: this toy has no dipole; use another one, or leave out its name: "
                "oxidation_numbers alone also give a dipole"
            )
        self._evaluator = evaluator
        self._charges = FormalCharges(numbers)

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        return _Sum([one(structures, wanted) for one in (self._evaluator, self._charges)])


class _Sum:
    """The sum of evaluations of the same observables (an ``Evaluation``)."""

    def __init__(self, parts: Sequence[Evaluation]) -> None:
        self._parts = parts
        self.values: list[Values] = [
            {name: np.sum([one[name] for one in of_structure], axis=0) for name in of_structure[0]}
            for of_structure in zip(*(part.values for part in parts), strict=True)
        ]

    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        gradients = [part.pull_back(cotangents) for part in self._parts]
        return [reduce(add, of_structure) for of_structure in zip(*gradients, strict=True)]
