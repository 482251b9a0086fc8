"""Compare a committee with labels of held-out structures, and report the branches of dipoles.

Networks are evaluated as a client evaluates them. Errors of dipoles are modulo quanta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from ase.data import chemical_symbols

from mlobs_client.client.total_energy import observe
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.learn.branches import BranchReport, report_branches
from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.networks import KINDS
from mlobs_client.learn.tensor_parts import composition_and_volume, tensor_parts
from mlobs_client.quantities import Quantity, labelled, of_members
from mlobs_client.results.parity import Parity
from mlobs_client.structure import Array, Integers
from mlobs_client.units import ANGSTROM

WORDS: Final[Mapping[str, str]] = {
    "dipole": "dipole without integer part",
    "born_charges": "Born charges without integers",
}
"""Names in figures and tables, for quantities of which only a part is compared."""


@dataclass(frozen=True)
class Compared:
    """Labels and predictions of one observable, for all held-out structures.

    Attributes:
        name: name of the quantity; energies are per atom.
        reference: labels, shape ``(n_rows, n_components)``, in ``unit``; dipoles without their
            integer part, on the branch nearest to the mean of the committee.
        members: predictions, shape ``(n_members, n_rows, n_components)``, in ``unit``; for Born
            charges, only the mean over the members, as if it were one member.
        classes: class of each row: the composition of its structure, or its species.
        parts: for tensors, the result of :func:`mlobs_client.learn.tensor_parts.tensor_parts`.
    """

    name: str
    reference: Array
    members: Array
    classes: tuple[str, ...]
    parts: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @property
    def quantity(self) -> str:
        """Name of the observable in figures and tables."""
        return WORDS.get(self.name, self.name)

    @property
    def unit(self) -> str:
        unit = labelled(self.name).to_users.name
        return f"{unit}/atom" if self.name == "energy" else unit

    @property
    def _components(self) -> dict[str, int]:
        return labelled(self.name).components

    @property
    def parities(self) -> tuple[Parity, ...]:
        """Reference and mean of the committee, by class if there are several, else by component."""
        chosen: dict[str, Any] = {name: np.s_[:, i] for name, i in self._components.items()}
        if len({*self.classes}) > 1 or self.reference.shape[1] == 1:
            chosen = dict(self._rows)
        return tuple(
            Parity(self.quantity, self.unit, self.reference[at].ravel(), self.mean[at].ravel(), one)
            for one, at in chosen.items()
        )

    @property
    def _rows(self) -> dict[str, npt.NDArray[np.bool_]]:
        return {one: np.array([c == one for c in self.classes]) for one in sorted({*self.classes})}

    @property
    def mean(self) -> Array:
        """Mean of the committee, shape ``(n_rows, n_components)``, in ``unit``."""
        return np.asarray(self.members.mean(axis=0))

    def as_json(self) -> dict[str, Any]:
        """Return errors of the mean (by component and class) and of each member, and their spread.

        Tensors have no percentage of the total deviation, but percentages of their parts.
        """
        error = self.mean - self.reference
        spread = None
        if len(self.members) > 1:
            spread = _rms(self.members.std(axis=0, ddof=1))
        deviation = _rms(self.reference - self.reference.mean(axis=0))
        percent = 100.0 * _rms(error) / deviation if deviation else None
        return {
            "unit": self.unit,
            "n_rows": len(error),
            "rmse": _rms(error),
            "standard_deviation": deviation,
            "relative_percent": None if self.parts else percent,
            "parts": {name: dict(part) for name, part in self.parts.items()},
            "components": {name: _rms(error[:, i]) for name, i in self._components.items()},
            "classes": {
                one: {"n_rows": int(kept.sum()), "rmse": _rms(error[kept])}
                for one, kept in self._rows.items()
            },
            "members": [_rms(member - self.reference) for member in self.members],
            "committee_spread": spread,
        }


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a committee.

    Attributes:
        compared: labels and predictions by the names of observables.
        rmse_in_quanta: error of the dipole along each lattice vector, from the structures that have
            quanta along it; None if there are none.
        branches: branches of all dipoles; None without dipoles.
    """

    compared: Mapping[str, Compared]
    rmse_in_quanta: tuple[float | None, ...] | None = None
    branches: BranchReport | None = None

    def as_json(self) -> dict[str, Any]:
        """Return all results."""
        return {
            "held_out": {name: one.as_json() for name, one in self.compared.items()},
            "dipole_rmse_in_quanta": self.rmse_in_quanta,
            "branches": None if self.branches is None else self.branches.as_json(),
        }


def assess(everything: DataSet, networks: Mapping[str, torch.nn.Module]) -> Accuracy:
    """Compare a committee with labels.

    Args:
        everything: data set that the committee was trained on.
        networks: networks by the names of their files; they are converted in place.
    """
    data_set = everything.judged
    evaluator = KINDS[data_set.kind].evaluator(networks)
    compared = {
        name: _compare(evaluator, data_set, row)
        for name, row in of_members().items()
        if name in data_set.learns and name != "dipole"
    }
    if "dipole" not in data_set.learns:
        return Accuracy(compared)
    residuals = _residuals(evaluator, data_set)
    compared = {"dipole": _dipoles(residuals, data_set), **compared}
    if "born_charges" in data_set.targets[data_set.test[0]]:
        compared["born_charges"] = _born_charges(evaluator, data_set)
    indices = [one.index for one in data_set.labelled]
    branches = report_branches(indices, data_set.quanta, residuals.mean(axis=1))
    in_quanta = _rmse_in_quanta(residuals.mean(axis=1), data_set)
    return Accuracy(compared, in_quanta, branches)


def _residuals(evaluator: Evaluator, data_set: DataSet) -> Array:
    """Return dipole labels minus integer part and prediction, ``[s, m, i]``, e angstrom."""
    everything = np.arange(len(data_set.labelled))
    members = _observe(evaluator, data_set, everything, "committee_dipoles")
    labels = np.array([one.single_valued_dipole for one in data_set.labelled])
    return np.asarray(labels[:, None] - np.array(members) / ANGSTROM)


def _dipoles(residuals: Array, data_set: DataSet) -> Compared:
    """Compare dipoles, with labels on the branch nearest to the mean of the committee."""
    labels = np.array([one.single_valued_dipole for one in data_set.labelled])
    mean = residuals.mean(axis=1)
    shifts = np.array([q.shifts(r) for q, r in zip(data_set.quanta, mean, strict=True)])
    members = (labels[:, None] - residuals)[data_set.test]
    reference = (labels - shifts)[data_set.test]
    return Compared("dipole", reference, members.swapaxes(0, 1), _formulas(data_set))


def _rmse_in_quanta(residuals: Array, data_set: DataSet) -> tuple[float | None, ...] | None:
    quanta = [data_set.quanta[s] for s in data_set.test]
    folded = np.array(
        [q.fractions(q.fold(r)) for q, r in zip(quanta, residuals[data_set.test], strict=True)]
    )
    counted = np.array([q.along for q in quanta])
    if not counted.any():
        return None
    return tuple(_rms(folded[counted[:, k], k]) if counted[:, k].any() else None for k in range(3))


def _compare(evaluator: Evaluator, data_set: DataSet, row: Quantity) -> Compared:
    """Compare labels as they are with the members; energies are per atom."""
    name = row.members_of
    held_out = [data_set.labelled[s] for s in data_set.test]
    labels = _labels(held_out, name)
    values = _observe(evaluator, data_set, data_set.test, row.name)
    members = [np.asarray(value) / row.to_users.factor for value in values]
    if row.per == "atom":
        joined = np.concatenate(members, axis=1)
        return _flat(name, np.concatenate(labels), joined, _symbols(data_set))
    if name == "energy":
        sizes = [one.structure.n_atoms for one in held_out]
        labels = [label / n for label, n in zip(labels, sizes, strict=True)]
        members = [each / n for each, n in zip(members, sizes, strict=True)]
    reference, stacked = np.array(labels), np.stack(members, axis=1)
    result = _flat(name, reference, stacked, _formulas(data_set))
    if not row.is_symmetric:
        return result
    # all labels show what there is to predict; the errors are of those held out
    everything = np.array(_labels(data_set.labelled, name))
    trend = composition_and_volume([one.structure for one in data_set.labelled])
    return replace(result, parts=tensor_parts(stacked.mean(axis=0) - reference, everything, trend))


def _labels(structures: Sequence[LabelledStructure], name: str) -> list[Array]:
    return [label for one in structures if (label := one.find(name)) is not None]


def _flat(name: str, reference: Array, members: Array, classes: tuple[str, ...]) -> Compared:
    """Flatten the components of ``[row, ...]`` and ``[m, row, ...]``."""
    n = len(reference)
    flat = members.reshape(len(members), n, -1)
    return Compared(name, reference.reshape(n, -1), flat, classes)


def _born_charges(evaluator: Evaluator, data_set: DataSet) -> Compared:
    """Compare Born charges of the mean of the committee, without oxidation numbers."""
    predicted = _observe(evaluator, data_set, data_set.test, "born_charges")
    reference = [data_set.targets[s]["born_charges"].reshape(-1, 9) for s in data_set.test]
    mean = np.concatenate(predicted).reshape(1, -1, 9)
    return Compared("born_charges", np.concatenate(reference), mean, _symbols(data_set))


def _observe(evaluator: Evaluator, data_set: DataSet, places: Integers, name: str) -> list[Array]:
    structures = [data_set.labelled[s].structure for s in places]
    return [values[name] for values in observe(structures, [evaluator], frozenset({name}))]


def _formulas(data_set: DataSet) -> tuple[str, ...]:
    return tuple(data_set.labelled[s].formula for s in data_set.test)


def _symbols(data_set: DataSet) -> tuple[str, ...]:
    numbers = [z for s in data_set.test for z in data_set.labelled[s].structure.numbers]
    return tuple(chemical_symbols[z] for z in numbers)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
