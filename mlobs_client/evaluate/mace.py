"""MACE models: potentials, dipoles and polarizabilities on one shared graph.

MACE thinks in eV and angstrom; the conversion is here, and automatic differentiation goes through
it, so that derivatives need none. A network is given the edge vectors in place of MACE's periodic
shifts, with all atoms at the origin: it sees neighbours only, in full precision however far the
unwrapped atoms have gone. What depends on absolute positions is added outside, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
import torch
from ase.data import chemical_symbols

from mlobs_client import units
from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.committee import (
    DERIVATIVES,
    Committee,
    CommitteeEvaluation,
    JoinedEvaluation,
)
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Structure

with quiet_third_parties():
    from mace import modules
    from mace.tools.torch_tools import default_dtype

Output = Mapping[str, torch.Tensor]
Modules = Mapping[str, torch.nn.Module]
"""Networks by the names of their files, for errors."""
Precision = Literal["float64", "float32"]

# Exactly these: classes derived from them (PolarMACE, MACELES) need more than neighbours.
_POTENTIALS: Final = (modules.MACE, modules.ScaleShiftMACE)
_DIPOLES: Final = (modules.AtomicDipolesMACE, modules.AtomicDielectricMACE)
_POLARIZABILITIES: Final = (modules.AtomicDielectricMACE,)


def potential(
    networks: Modules, *, alpha: float = 1.0, dtype: Precision = "float64", device: str = "cpu"
) -> Committee:
    """Committee of energy models (MACE, ScaleShiftMACE).

    Args:
        networks: by name; they are converted in place.
        alpha: calibration of the spread.
        dtype: of the networks; energies are summed over atoms in float64 in any case.
        device: as torch calls it, for example ``cuda``.

    Raises:
        ModelError: a network is of another kind, or they are made for different species.
    """
    models = _models(networks, "a potential", _POTENTIALS, _energy, units.EV, dtype, device)
    return Committee(models, alpha)


def dipole(
    networks: Modules,
    *,
    unit: str = "e*angstrom",
    oxidation_numbers: OxidationNumbers | None = None,
    dtype: Precision = "float64",
    device: str = "cpu",
) -> Committee:
    """Committee of dipole models (AtomicDipolesMACE; AtomicDielectricMACE for molecules).

    Learned charges (AtomicDielectricMACE) add up to zero; they are usable for non-periodic
    structures only, see :func:`mlobs_client.evaluate.oxidation.check_single_valued`.

    Args:
        networks: by name; they are converted in place.
        unit: of what the networks give, one of :data:`mlobs_client.units.DIPOLE_UNITS`.
        oxidation_numbers: the multi-valued part, added to every member.
        dtype: of the networks; the sum over atoms is in float64 in any case.
        device: as torch calls it.

    Raises:
        ConfigError: unknown unit.
        ModelError: a network is of another kind, or they are made for different species.
    """
    factor = units.factor(unit, units.DIPOLE_UNITS, "[dipole] unit")
    models = _models(networks, "a dipole model", _DIPOLES, _dipole, factor, dtype, device)
    return Committee(models, common=oxidation_numbers)


def polarizability(
    networks: Modules,
    *,
    unit: str = "angstrom^3",
    dtype: Precision = "float64",
    device: str = "cpu",
) -> Committee:
    """Committee of polarizability models (AtomicDielectricMACE, whose dipole is not used).

    Args:
        networks: by name; they are converted in place.
        unit: of what the networks give, one of :data:`mlobs_client.units.POLARIZABILITY_UNITS`.
        dtype: of the networks.
        device: as torch calls it.

    Raises:
        ConfigError: unknown unit.
        ModelError: a network is of another kind, or they are made for different species.
    """
    factor = units.factor(unit, units.POLARIZABILITY_UNITS, "[polarizability] unit")
    kind = "a polarizability model"
    models = _models(networks, kind, _POLARIZABILITIES, _polarizability, factor, dtype, device)
    return Committee(models)


class MaceModel:
    """One network as a function from graphs to one quantity in atomic units.

    Attributes:
        cutoff: bohr.
        species: atomic numbers that it was made for.
        device: where it lives.

    Args:
        network: is frozen, converted and moved in place.
        read: takes the quantity from what MACE gives.
        unit: of the quantity, in atomic units.
        dtype: of the network.
        device: as torch calls it.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        read: Callable[[Output, Graph], torch.Tensor],
        unit: float,
        dtype: Precision,
        device: str,
    ) -> None:
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._network = network.to(device=device, dtype=self._dtype).eval().requires_grad_(False)
        self._read = read
        self._unit = unit
        self.device = device
        self.cutoff = float(network.r_max) * units.ANGSTROM  # type: ignore[arg-type]
        self.species: tuple[int, ...] = tuple(network.atomic_numbers.tolist())  # type: ignore
        one_hot = torch.zeros((len(chemical_symbols), len(self.species)), dtype=self._dtype)
        one_hot[list(self.species), range(len(self.species))] = 1.0
        self._one_hot = one_hot.to(device)

    def __call__(self, graph: Graph) -> torch.Tensor:
        """Shape ``(n_structures, *shape)``, float64."""
        inputs = self._inputs(graph.within(self.cutoff))
        with default_dtype(self._dtype):  # MACE's ZBL repulsion makes numbers of torch's default
            output = self._network(inputs, compute_force=False)
        return self._read(output, graph) * self._unit

    def _inputs(self, graph: Graph) -> dict[str, torch.Tensor]:
        zeros = graph.positions.new_zeros
        return {
            "shifts": (graph.vectors / units.ANGSTROM).to(self._dtype),
            "positions": zeros((len(graph.numbers), 3), dtype=self._dtype),
            "node_attrs": self._one_hot[graph.numbers],
            "edge_index": graph.edges,
            "batch": graph.structure_of,
            "ptr": graph.starts,
            "cell": zeros((3 * graph.n_structures, 3), dtype=self._dtype),  # of no further use
            "charges": zeros(len(graph.numbers), dtype=self._dtype),
            "total_charge": zeros(graph.n_structures, dtype=self._dtype),
        }


class MaceEvaluator:
    """Committees of MACE models that share graphs and one backward pass (an ``Evaluator``).

    Attributes:
        provides: names of the observables that the committees give.

    Args:
        potential: see :func:`potential`.
        dipole: see :func:`dipole`.
        polarizability: see :func:`polarizability`.
        skin: bohr, see :class:`mlobs_client.evaluate.graph.GraphBuilder`.
        max_edges: of one batch, see there; by default what was fastest on a CPU, and a
            hundred times more on a GPU.

    Raises:
        ConfigError: the committees live on different devices.
    """

    def __init__(
        self,
        potential: Committee | None = None,
        dipole: Committee | None = None,
        polarizability: Committee | None = None,
        *,
        skin: float = 0.5 * units.ANGSTROM,
        max_edges: int | None = None,
    ) -> None:
        given = {"energy": potential, "dipole": dipole, "polarizability": polarizability}
        self._committees = {name: made for name, made in given.items() if made is not None}
        self.provides = frozenset[str]().union(
            *(committee.provides(quantity) for quantity, committee in self._committees.items())
        )
        models = [model for committee in self._committees.values() for model in committee.models]
        devices = {model.device for model in models}
        if len(devices) > 1:
            raise ConfigError(
                f"device = {' and '.join(sorted(devices))}: all committees of one client share "
                "their graphs, so give them the same device"
            )
        self._species = {name: c.models[0].species for name, c in self._committees.items()}
        self._accepted: set[bytes] = set()
        device = devices.pop()
        self._cutoff = max(model.cutoff for model in models)
        self._build = GraphBuilder(
            self._cutoff,
            skin,
            max_edges=max_edges or (5_000 if device == "cpu" else 500_000),
            device=device,
        )

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> JoinedEvaluation:
        """Evaluate the ``wanted`` observables of all structures in batches.

        Args:
            structures: of any sizes and cells.
            wanted: names from ``provides``.
            derivatives: False promises that nothing is pulled back; it saves time and memory.

        Raises:
            EvaluationError: a species is unknown to the models, atoms lie on each other, or the
                cell is too low for the cutoff along a vector that is not periodic.
        """
        for structure in structures:
            self.check_species(structure)
            self._check_cell(structure)
        needed = {
            quantity: committee
            for quantity, committee in self._committees.items()
            if wanted & committee.provides(quantity)
        }
        record = derivatives or any(wanted.intersection(DERIVATIVES[name]) for name in needed)
        with torch.set_grad_enabled(record):
            graphs = self._build(structures)
            return JoinedEvaluation([CommitteeEvaluation(g, needed, wanted) for g in graphs])

    def check_species(self, structure: Structure) -> None:
        """Refuse species that a committee has never seen.

        Raises:
            EvaluationError: names the species and the committee.
        """
        key = structure.numbers.tobytes()
        if key in self._accepted:
            return
        for quantity, species in self._species.items():
            if unknown := sorted(set(structure.numbers.tolist()).difference(species)):
                raise EvaluationError(
                    f"the {quantity} models know {_symbols(species)}, not {_symbols(unknown)}; "
                    "check the structure, or use models that were trained for all its species"
                )
        self._accepted.add(key)

    def _check_cell(self, structure: Structure) -> None:
        """Refuse a cell that the user most likely forgot to call periodic.

        i-PI always has a cell. Where it is lower than the reach of an atom and not periodic, atoms
        would have no neighbours beyond its walls, and a liquid would turn into a cluster.
        """
        if all(structure.pbc) or structure.volume < 1e-6:
            return
        heights = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
        for k in np.flatnonzero((heights < self._cutoff) & ~np.array(structure.pbc)):
            raise EvaluationError(
                f"the cell is {heights[k] / units.ANGSTROM:.2f} angstrom high along lattice vector "
                f"{k + 1}, which is not periodic, and the cutoff of the models is "
                f"{self._cutoff / units.ANGSTROM:.2f} angstrom; say pbc = [true, true, true] in "
                "the client file, or make the cell larger"
            )


def _energy(output: Output, graph: Graph) -> torch.Tensor:
    return graph.sum_over_atoms(output["node_energy"].double())


def _dipole(output: Output, graph: Graph) -> torch.Tensor:
    total = graph.sum_over_atoms(output["atomic_dipoles"].double())
    if "charges" not in output:
        return total
    moments = output["charges"].double().unsqueeze(1) * graph.positions / units.ANGSTROM
    return total + graph.sum_over_atoms(moments)


def _polarizability(output: Output, graph: Graph) -> torch.Tensor:
    return output["polarizability"].double()


def _models(
    networks: Modules,
    role: str,
    kinds: Sequence[type],
    read: Callable[[Output, Graph], torch.Tensor],
    unit: float,
    dtype: Precision,
    device: str,
) -> tuple[MaceModel, ...]:
    for name, network in networks.items():
        _check_kind(name, network, role, kinds)
    models = {
        name: MaceModel(network, read, unit, dtype, device) for name, network in networks.items()
    }
    first, *others = models
    for name in others:
        if models[name].species != models[first].species:
            raise ModelError(
                f"{name} was made for {_symbols(models[name].species)}, but {first} for "
                f"{_symbols(models[first].species)}; members of a committee must agree"
            )
    return tuple(models.values())


def _check_kind(name: str, network: torch.nn.Module, role: str, kinds: Sequence[type]) -> None:
    if type(network) not in kinds:
        raise ModelError(
            f"{name}: a {type(network).__name__} is not {role}; give a model of the class "
            f"{' or '.join(kind.__name__ for kind in kinds)}"
        )
    heads: Sequence[str] = getattr(network, "heads", ["Default"])
    if len(heads) > 1:
        raise ModelError(
            f"{name}: has the heads {', '.join(heads)}; extract one of them with mace_select_head"
        )
    if extra := getattr(network, "embedding_specs", {}):
        raise ModelError(
            f"{name}: needs {', '.join(extra)} for every structure, which "
            "i-PI does not know; give a model that needs positions, cell and species only"
        )


def _symbols(numbers: Sequence[int]) -> str:
    return ", ".join(chemical_symbols[number] for number in numbers)
