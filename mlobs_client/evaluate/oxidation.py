"""The multi-valued part of a dipole, and the test that nothing else is multi-valued.

In a periodic system the dipole of a cell is known only modulo quanta, e times a lattice vector a. A
learned dipole is a function of neighbours only, and so single-valued. Adding one integer per atom
times its unwrapped position gives the right dipole,

.. math::  \\mu(R) = \\mu_{\\text{learned}}(R) + e \\sum_I N_I R_I,

so that moving atom I by a changes the dipole by e N_I a but changes no force. If the N_I do not add
up to zero (a charged cell), the dipole depends on the origin of the positions, like that of every
charged body; its derivatives do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.derivatives import Derivative, through_positions
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.graph import Graph
from mlobs_client.structure import Array, Integers, Structure


class MovingCharges(NamedTuple):
    """The dipole ``sum_I q_I R_I`` of every structure (an ``Output``).

    Attributes:
        charges: shape ``(n_atoms,)``, e.
        graph: graph of the atoms.
    """

    charges: torch.Tensor
    graph: Graph

    @property
    def values(self) -> torch.Tensor:
        """Shape ``(n_structures, 3)``, e bohr."""
        return self.graph.sum_over_atoms(self.charges.unsqueeze(1) * self.graph.positions)

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain."""
        of_atoms = self.charges.unsqueeze(1) * weights[self.graph.structure_of]
        return through_positions(self.graph, of_atoms)


class OxidationNumbers:
    """Oxidation numbers by species, or one for each atom.

    Args:
        numbers: integers by species, such as ``{"O": -2, "H": 1}``, or one for each atom.

    Raises:
        ConfigError: a number is not an integer, or a species does not exist.
    """

    def __init__(self, numbers: Mapping[str, int] | Sequence[int]) -> None:
        self._of_atom: Integers | None = None
        self._of_species: dict[int, int] = {}
        if isinstance(numbers, Mapping):
            self._of_species = {
                _atomic_number(symbol): _integer(value, symbol) for symbol, value in numbers.items()
            }
        else:
            checked = [_integer(value, f"atom {atom}") for atom, value in enumerate(numbers)]
            self._of_atom = np.array(checked, dtype=np.int64)

    def of(self, structure: Structure) -> Integers:
        """Return the number of each atom, shape ``(n_atoms,)``.

        Raises:
            ConfigError: a species, or an atom, has no number.
        """
        return self._of(structure.numbers, n_structures=1)

    def __call__(self, graph: Graph) -> MovingCharges:
        """Return the dipole of these charges for every structure."""
        integers = self._of(graph.numbers.cpu().numpy(), graph.n_structures)
        return MovingCharges(torch.from_numpy(integers).to(graph.positions), graph)

    def _of(self, numbers: Integers, n_structures: int) -> Integers:
        if self._of_atom is None:
            return self._look_up(numbers)
        if len(self._of_atom) * n_structures != len(numbers):
            raise ConfigError(
                f"oxidation_numbers has {len(self._of_atom)} numbers for "
                f"{len(numbers) // n_structures} atoms; give one for each atom, or for each species"
            )
        return np.tile(self._of_atom, n_structures)

    def _look_up(self, numbers: Integers) -> Integers:
        species, which = np.unique(numbers, return_inverse=True)
        if missing := [chemical_symbols[z] for z in species if int(z) not in self._of_species]:
            raise ConfigError(
                f"oxidation_numbers says nothing about {', '.join(missing)}; add an integer, "
                "for example { O = -2, H = 1 }"
            )
        return np.array([self._of_species[int(z)] for z in species], dtype=np.int64)[which]


def _atomic_number(symbol: str) -> int:
    if symbol not in atomic_numbers:
        raise ConfigError(f"oxidation_numbers: there is no element {symbol!r}; write O = -2")
    return int(atomic_numbers[symbol])


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ConfigError(
            f"oxidation_numbers: {where} has {value!r}, which is not an integer; the dipole of a "
            "periodic cell is known up to whole multiples of e times a lattice vector"
        )
    return int(value)


def check_single_valued(
    evaluator: Evaluator,
    structure: Structure,
    oxidation_numbers: OxidationNumbers | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Refuse models whose predictions change when atoms are moved by lattice vectors.

    One atom of each species is moved, up to three at once, in directions that are not coplanar, so
    that the charges of one do not hide those of another; if something is wrong, they are moved
    one after the other. The dipole may only change by e N a; the energy, and the gradients of
    energy and dipole, must not change. A learned charge q would change the dipole by q a, where a
    is many bohr long: far above the tolerance. Rounding errors stay below it, also in float32
    (3e-8 has been seen): networks get differences of positions that were taken in float64, whose
    last digit may change.

    Args:
        evaluator: evaluator with or without energy and dipole.
        structure: any structure; nothing is tested along directions that are not periodic.
        oxidation_numbers: the oxidation numbers N; None for zero.
        tolerance: largest change of any number, atomic units.

    Raises:
        ModelError: something else changes; the error says by how much and what to do.
    """
    wanted = evaluator.provides & {"energy", "dipole"}
    directions = np.flatnonzero(structure.pbc)
    if not wanted or not len(directions):
        return
    integers = np.zeros(structure.n_atoms, dtype=np.int64)
    if oxidation_numbers is not None:
        integers = oxidation_numbers.of(structure)
    before = _observe(evaluator, structure, wanted)

    def find_wrong(images: Mapping[int, Integers]) -> tuple[str, float] | None:
        """Return the name and error of a number that is wrong after atoms move to these images."""
        shifts = np.zeros_like(structure.positions)
        for atom, image in images.items():
            shifts[atom] = image @ structure.cell
        moved = replace(structure, positions=structure.positions + shifts)
        expected = dict(before)
        if "dipole" in wanted:
            expected["dipole"] = before["dipole"] + integers @ shifts
        for name, value in _observe(evaluator, moved, wanted).items():
            error = float(np.abs(value - expected[name]).max())
            if not error <= tolerance:
                return name, error
        return None

    atoms = np.unique(structure.numbers, return_index=True)[1].tolist()
    far = np.zeros((len(directions), 3), dtype=np.int64)
    for k in range(len(directions)):  # rows like 1 2 3, 3 1 2, 2 3 1
        far[k, directions] = np.roll(np.arange(1, len(directions) + 1), k)
    for first in range(0, len(atoms), len(directions)):
        together = atoms[first : first + len(directions)]
        wrong = find_wrong(dict(zip(together, far, strict=False)))
        if wrong is None:
            continue
        for atom in together:
            for direction in directions:
                alone = find_wrong({atom: np.eye(3, dtype=np.int64)[direction]})
                if alone is not None:
                    symbol = chemical_symbols[structure.numbers[atom]]
                    who = f"{symbol} (atom {atom}, counted from 0) by lattice vector"
                    raise ModelError(_explain(*alone, f"{who} {direction + 1}"))
        raise ModelError(_explain(*wrong, f"the atoms {together} by several lattice vectors"))


def _observe(
    evaluator: Evaluator, structure: Structure, wanted: frozenset[str]
) -> dict[str, Array]:
    """Return the values, and the forces that come from them."""
    weights = {"energy": np.ones(()), "dipole": np.array([0.6, -0.3, 0.7])}
    evaluation = evaluator([structure], wanted)
    observed = dict(evaluation.values[0])
    for name in sorted(wanted):
        (gradient,) = evaluation.pull_back([{name: weights[name]}])
        observed[f"forces from the {name}"] = gradient.positions
    return observed


def _explain(name: str, error: float, move: str) -> str:
    remedy = "the model is not periodic"
    if "dipole" in name:
        remedy = (
            "it contains charge x position with charges that are not integers, so a field would do "
            "work on an atom that moves to its image; use a model without charges "
            "(AtomicDipolesMACE) and oxidation_numbers, or make the structure non-periodic"
        )
    return (
        f"moving {move} changes the {name} by {error:.2g} atomic units more than it may: {remedy}"
    )
