"""Models of a client file that are not networks: ASE calculators and analytic toys."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mlobs_client.client.family import ClientContext, OxidationTable, warn_of_charge
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.quantities import Quantity
from mlobs_client.tables import Table


class AseModel(Table):
    """kind = "ase": an ASE calculator; ``calculator`` is the import path of its class.

    The module is imported, which runs its code: trust such a client file as you would a program.
    The class must be a subclass of an ASE calculator; it is called with ``parameters``.
    """

    kind: Literal["ase"]
    calculator: str
    parameters: dict[str, Any] = Field(default_factory=dict)

    def gives(self, row: Quantity) -> frozenset[str]:
        """Return the observables that a calculator may give; not every one gives all of them."""
        return frozenset({"energy", "dipole", row.name})

    def evaluator(self, context: ClientContext) -> Evaluator:
        """Return the calculator as an evaluator.

        Args:
            context: the client.

        Raises:
            ConfigError: there is no such class, or it does not take these parameters.
            ModelError: the parameters name models that are not trusted.
        """
        from mlobs_client.evaluate.ase import AseEvaluator

        return AseEvaluator.from_import_path(self.calculator, self.parameters)


class ToyModel(Table):
    """kind = "toy": an analytic model with exact observables; ``name`` selects it."""

    kind: Literal["toy"]
    name: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something_is_named(self) -> ToyModel:
        if not self.name:
            from mlobs_client.evaluate.toys import TOYS

            raise ValueError(
                f"the name of the toy is missing; write name = one of {', '.join(TOYS)}"
            )
        return self

    def gives(self, row: Quantity) -> frozenset[str]:
        """Return the observables that the toy gives."""
        from mlobs_client.evaluate.toys import make_toy

        return make_toy(self.name, self.parameters).provides

    def evaluator(self, context: ClientContext) -> Evaluator:
        """Return the toy.

        Args:
            context: the client.

        Raises:
            ConfigError: there is no such toy, or it does not take these parameters.
        """
        from mlobs_client.evaluate.toys import make_toy

        return make_toy(self.name, self.parameters)


class ToyDipole(OxidationTable, ToyModel):
    """[dipole] with kind = "toy": the dipole of a toy, of formal charges, or of both.

    ``oxidation_numbers`` are integers N_I for each species or for each atom. The dipole is
    e sum_I N_I R_I, plus that of the toy ``name`` if there is one.
    """

    @model_validator(mode="after")
    def _something_is_named(self) -> ToyDipole:
        if not self.name and self.oxidation_numbers in (None, "none"):
            raise ValueError(
                "a dipole needs the name of a toy, or oxidation_numbers for that of formal "
                'charges; write name = "qtip4pf" or oxidation_numbers = { O = -2, H = 1 }'
            )
        if self.parameters and not self.name:
            raise ValueError("parameters without the name of a toy have no effect; remove them")
        return self

    def gives(self, row: Quantity) -> frozenset[str]:
        """Return the observables that the toy, or the formal charges without a toy, give."""
        return super().gives(row) if self.name else frozenset({"dipole", "born_charges"})

    def evaluator(self, context: ClientContext) -> Evaluator:
        """Return the toy, the formal charges, or the toy with the formal charges added.

        Args:
            context: the client.

        Raises:
            ConfigError: there is no such toy, or it does not take these parameters.
        """
        numbers = self.integers(context.structure)
        if numbers is None:
            return super().evaluator(context)
        from mlobs_client.evaluate.formal_charges import FormalCharges, WithFormalCharges

        warn_of_charge(numbers, context.structure)
        if not self.name:
            return FormalCharges(numbers)
        return WithFormalCharges(super().evaluator(context), numbers)
