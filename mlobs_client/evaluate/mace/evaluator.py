"""MACE models: potentials, dipoles and polarizabilities on one shared graph.

Every committee is made of one or more :class:`mlobs_client.evaluate.mace.model.MaceModel`; what
they share is here: the graph of all structures, the species, the size of batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols

from mlobs_client import units
from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.committee import (
    DERIVATIVES,
    Committee,
    CommitteeEvaluation,
)
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import State
from mlobs_client.evaluate.derivatives import Derivative, Output
from mlobs_client.evaluate.evaluation import Precision
from mlobs_client.evaluate.graph import GraphBuilder
from mlobs_client.evaluate.mace.model import MaceModel
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, Quantity, build_of
from mlobs_client.evaluate.networks.plain import species_of
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Structure

with quiet_third_parties():
    from mace import modules

Modules = Mapping[str, torch.nn.Module]
"""Networks by the names of their files, for errors."""


class Setting(NamedTuple):
    """How networks are evaluated.

    Attributes:
        dtype: of the networks; sums over atoms are in float64 in any case.
        device: as torch calls it, for example ``cuda``.
        background: compiles the networks; None leaves them as they are.
    """

    dtype: Precision = "float64"
    device: str = "cpu"
    background: Background | None = None


PLAIN: Final = Setting()
"""In double precision, not compiled, on the CPU."""

# Exactly these: classes derived from them (PolarMACE, MACELES) need more than neighbours.
_KINDS: Final[dict[Quantity, tuple[str, tuple[type, ...]]]] = {
    "energy": (
        "a potential",
        (modules.MACE, modules.ScaleShiftMACE, modules.EnergyDipolesMACE),
    ),
    "dipole": (
        "a dipole model",
        (modules.AtomicDipolesMACE, modules.AtomicDielectricMACE, modules.EnergyDipolesMACE),
    ),
    "energy_and_dipole": ("a model of both energy and dipole", (modules.EnergyDipolesMACE,)),
    "polarizability": ("a polarizability model", (modules.AtomicDielectricMACE,)),
}


def potential(
    networks: Modules,
    *,
    alpha: float = 1.0,
    setting: Setting = PLAIN,
) -> Committee:
    """Committee of energy models (MACE, ScaleShiftMACE; EnergyDipolesMACE).

    Args:
        networks: by name; they are converted in place.
        alpha: of the energies, see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        setting: precision and device.

    Raises:
        ConfigError: the device is not there.
        ModelError: a network is of another kind, or they are made for different species.
    """
    models = _models(networks, "energy", units.EV, setting)
    return Committee(models, {"energy": alpha})


def dipole(
    networks: Modules,
    *,
    alpha: float = 1.0,
    unit: str = "e*angstrom",
    oxidation_numbers: OxidationNumbers | None = None,
    setting: Setting = PLAIN,
) -> Committee:
    """Committee of dipole models (AtomicDipolesMACE, EnergyDipolesMACE; AtomicDielectricMACE for
    molecules).

    Learned charges (AtomicDielectricMACE) add up to zero; they are usable for non-periodic
    structures only, see :func:`mlobs_client.evaluate.oxidation.check_single_valued`.

    Args:
        networks: by name; they are converted in place.
        alpha: see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        unit: of what the networks give, one of :data:`mlobs_client.units.DIPOLE_UNITS`.
        oxidation_numbers: the multi-valued part, added to every member.
        setting: precision and device.

    Raises:
        ConfigError: unknown unit, or a device that is not there.
        ModelError: a network is of another kind, or they are made for different species.
    """
    factor = units.factor(unit, units.DIPOLE_UNITS, "[dipole] unit")
    models = _models(networks, "dipole", factor, setting)
    return Committee(models, {"dipole": alpha}, oxidation_numbers)


def potential_and_dipole(
    networks: Modules,
    *,
    alpha: float = 1.0,
    dipole_alpha: float = 1.0,
    unit: str = "e*angstrom",
    oxidation_numbers: OxidationNumbers | None = None,
    setting: Setting = PLAIN,
) -> Committee:
    """Committee of models that give energy and dipole at once (EnergyDipolesMACE).

    A field on the dipole then costs no network of its own: one pass gives both, one pass back the
    forces of both.

    Args:
        networks: by name; they are converted in place.
        alpha: of the energies, see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        dipole_alpha: the same of the dipoles.
        unit: of the dipoles, see :func:`dipole`.
        oxidation_numbers: see :func:`dipole`.
        setting: precision and device.

    Raises:
        ConfigError: unknown unit, or a device that is not there.
        ModelError: a network is of another kind, or they are made for different species.
    """
    factor = units.factor(unit, units.DIPOLE_UNITS, "[dipole] unit")
    of_each = [units.EV, factor, factor, factor]
    models = _models(networks, "energy_and_dipole", of_each, setting)
    alphas = {"energy": alpha, "dipole": dipole_alpha}
    if oxidation_numbers is None:
        return Committee(models, alphas)
    return Committee(models, alphas, lambda graph: _BesideEnergy(oxidation_numbers(graph)))


class _BesideEnergy(NamedTuple):
    """A known part of the dipole, of models whose first number is an energy (an ``Output``)."""

    dipole: Output

    @property
    def values(self) -> torch.Tensor:
        return torch.nn.functional.pad(self.dipole.values, (1, 0))

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        return self.dipole.pull_back(weights[..., 1:])


def polarizability(
    networks: Modules,
    *,
    alpha: float = 1.0,
    unit: str = "angstrom^3",
    setting: Setting = PLAIN,
) -> Committee:
    """Committee of polarizability models (AtomicDielectricMACE, whose dipole is not used).

    Args:
        networks: by name; they are converted in place.
        alpha: see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        unit: of what the networks give, one of :data:`mlobs_client.units.POLARIZABILITY_UNITS`.
        setting: precision and device.

    Raises:
        ConfigError: unknown unit, or a device that is not there.
        ModelError: a network is of another kind, or they are made for different species.
    """
    factor = units.factor(unit, units.POLARIZABILITY_UNITS, "[polarizability] unit")
    models = _models(networks, "polarizability", factor, setting)
    return Committee(models, {"polarizability": alpha})


class MaceEvaluator:
    """Committees of MACE models that share graphs and one backward pass (an ``Evaluator``).

    Attributes:
        provides: names of the observables that the committees give.

    Args:
        potential: see :func:`potential`.
        dipole: see :func:`dipole`.
        polarizability: see :func:`polarizability`.
        potential_and_dipole: instead of the first two, see :func:`potential_and_dipole`.
        skin: bohr, see :class:`mlobs_client.evaluate.graph.GraphBuilder`.
        max_edges: of one batch, about, those of every network counted; by default so many that on a
            CPU more would not be faster, and on a GPU as many as will most likely fit.
        batch: structures of one batch at most, in place of ``max_edges``.

    Raises:
        ConfigError: the committees live on different devices.
    """

    def __init__(
        self,
        potential: Committee | None = None,
        dipole: Committee | None = None,
        polarizability: Committee | None = None,
        *,
        potential_and_dipole: Committee | None = None,
        skin: float = 0.5 * units.ANGSTROM,
        max_edges: int | None = None,
        batch: int | None = None,
    ) -> None:
        given = {
            "energy": potential,
            "dipole": dipole,
            "polarizability": polarizability,
            "energy_and_dipole": potential_and_dipole,
        }
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
        self._build = GraphBuilder(self._cutoff, skin, device=device)
        self._max_edges = max_edges or (30_000 if device == "cpu" else 500_000)
        self._n_networks = sum(model.n_members for model in models)
        self._batch = batch
        self._at_once: dict[int, int] = {}
        self._used: tuple[Committee, ...] = ()

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> CommitteeEvaluation:
        """Evaluate the ``wanted`` observables of all structures as one graph.

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
        self._used = tuple(needed.values())
        record = derivatives or not wanted.isdisjoint(chain(*DERIVATIVES.values()))
        with torch.set_grad_enabled(record):
            return CommitteeEvaluation(self._build(structures), needed, wanted)

    def at_once(self, structures: Sequence[Structure]) -> int:
        """How many of these structures are best evaluated together.

        It is found once for each number of atoms, as the size of batches should not vary with
        time: every size is compiled anew.
        """
        if self._batch is not None:
            return self._batch
        n_atoms = structures[0].n_atoms
        if n_atoms not in self._at_once:
            n_edges = max(1, self._build.count_edges(structures[0]) * self._n_networks)
            self._at_once[n_atoms] = max(1, round(self._max_edges / n_edges))
        return self._at_once[n_atoms]

    @property
    def compilation(self) -> frozenset[State]:
        """How far compilation was at the last evaluation, of the networks that it needed."""
        models = [model for committee in self._used for model in committee.models]
        return frozenset(model.compilation for model in models if isinstance(model, MaceModel))

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


def _models(
    networks: Modules,
    quantity: Quantity,
    unit: float | Sequence[float],
    setting: Setting,
) -> tuple[MaceModel, ...]:
    """Members of one build together, others one by one."""
    for name, network in networks.items():
        _check_kind(name, network, quantity)
    (first, sample), *others = networks.items()
    for name, network in others:
        if species_of(network) != species_of(sample):
            raise ModelError(
                f"{name} was made for {_symbols(species_of(network))}, but {first} for "
                f"{_symbols(species_of(sample))}; members of a committee must agree"
            )
    for network in networks.values():
        _move(network, setting)
    members = [AtomicNetwork(network, quantity) for network in networks.values()]
    alike = len({(m.cutoff, build_of(m)) for m in members}) == 1
    groups = [members] if alike else [[member] for member in members]
    return tuple(MaceModel(group, unit, setting.background) for group in groups)


def _move(network: torch.nn.Module, setting: Setting) -> None:
    try:
        network.to(device=setting.device, dtype=getattr(torch, setting.dtype))
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f'device = {setting.device!r} cannot be used here ({reason}); write "cpu", or '
            '"cuda" on a machine with an NVIDIA GPU and the CUDA build of torch'
        ) from error


def _check_kind(name: str, network: torch.nn.Module, quantity: Quantity) -> None:
    role, kinds = _KINDS[quantity]
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
