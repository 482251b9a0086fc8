"""Evaluate MACE potentials, dipoles and polarizabilities on one shared graph.

Every committee consists of one or more :class:`mlobs_client.evaluate.networks.plain.PlainModel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch

from mlobs_client import units
from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.committee import SKIN, Committee, CommitteeEvaluator, symbols
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState
from mlobs_client.evaluate.derivatives import Derivative, Output
from mlobs_client.evaluate.evaluation import Precision
from mlobs_client.evaluate.mace.model import CompiledModel
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, NetworkKind, architecture_of
from mlobs_client.evaluate.networks.plain import PlainModel, species_of
from mlobs_client.evaluate.oxidation import OxidationNumbers

with quiet_third_parties():
    from mace import modules

Modules = Mapping[str, torch.nn.Module]
"""Networks by the names of their files, for error messages."""


class Setting(NamedTuple):
    """Precision, device and compilation of networks.

    Attributes:
        dtype: precision of the networks; sums over atoms are always in float64.
        device: name of the device in torch, for example ``cuda``.
        background: compiles the networks; None for no compilation.
    """

    dtype: Precision = "float64"
    device: str = "cpu"
    background: Background | None = None


DEFAULT_SETTING: Final = Setting()
"""Double precision, not compiled, on the CPU."""

# Exactly these: classes derived from them (PolarMACE, MACELES) need more than neighbours.
_KINDS: Final[dict[NetworkKind, tuple[str, tuple[type, ...]]]] = {
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
    setting: Setting = DEFAULT_SETTING,
) -> Committee:
    """Make a committee of energy models (MACE, ScaleShiftMACE or EnergyDipolesMACE).

    Args:
        networks: networks by the names of their files; they are converted in place.
        alpha: scale of energy spreads, see
            :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        setting: precision, device and compilation.

    Raises:
        ConfigError: the device is not available.
        ModelError: a network is of another kind, or the networks are made for different species.
    """
    models = _models(networks, "energy", units.EV, setting)
    return Committee(models, {"energy": alpha})


def dipole(
    networks: Modules,
    *,
    alpha: float = 1.0,
    unit: str = "e*angstrom",
    oxidation_numbers: OxidationNumbers | None = None,
    setting: Setting = DEFAULT_SETTING,
) -> Committee:
    """Make a committee of dipole models.

    Each network is an AtomicDipolesMACE, an EnergyDipolesMACE or an AtomicDielectricMACE. The last
    adds learned charges times positions, so that its dipole changes by a non-integer multiple of e
    times a lattice vector when an atom moves by that vector; it is refused for periodic structures,
    see :func:`mlobs_client.evaluate.oxidation.check_single_valued`.

    Args:
        networks: networks by the names of their files; they are converted in place.
        alpha: scale of spreads, see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        unit: unit of the networks, one of :data:`mlobs_client.units.DIPOLE_UNITS`.
        oxidation_numbers: define the multi-valued part of the dipole, e sum_I N_I R_I, which is
            added to the prediction of every member; None for no such part.
        setting: precision, device and compilation.

    Raises:
        ConfigError: the unit is unknown, or the device is not available.
        ModelError: a network is of another kind, or the networks are made for different species.
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
    setting: Setting = DEFAULT_SETTING,
) -> Committee:
    """Make a committee of models that give energy and dipole at once (EnergyDipolesMACE).

    A field on the dipole then needs no second network: one forward pass gives both, and one
    backward pass the forces of both.

    Args:
        networks: networks by the names of their files; they are converted in place.
        alpha: scale of energy spreads, see
            :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        dipole_alpha: scale of dipole spreads.
        unit: unit of the dipoles, see :func:`dipole`.
        oxidation_numbers: see :func:`dipole`.
        setting: precision, device and compilation.

    Raises:
        ConfigError: the unit is unknown, or the device is not available.
        ModelError: a network is of another kind, or the networks are made for different species.
    """
    factor = units.factor(unit, units.DIPOLE_UNITS, "[dipole] unit")
    of_each = [units.EV, factor, factor, factor]
    models = _models(networks, "energy_and_dipole", of_each, setting)
    alphas = {"energy": alpha, "dipole": dipole_alpha}
    columns: dict[str, int | slice] = {"energy": 0, "dipole": slice(1, 4)}
    if oxidation_numbers is None:
        return Committee(models, alphas, columns=columns)
    return Committee(
        models, alphas, lambda graph: _DipoleColumns(oxidation_numbers(graph)), columns
    )


class _DipoleColumns(NamedTuple):
    """A known part of the dipole, for models whose first number is an energy (an ``Output``)."""

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
    setting: Setting = DEFAULT_SETTING,
) -> Committee:
    """Make a committee of polarizability models (AtomicDielectricMACE, whose dipole is not used).

    Args:
        networks: networks by the names of their files; they are converted in place.
        alpha: scale of spreads, see :class:`mlobs_client.evaluate.members.CalibratedMembers`.
        unit: unit of the networks, one of :data:`mlobs_client.units.POLARIZABILITY_UNITS`.
        setting: precision, device and compilation.

    Raises:
        ConfigError: the unit is unknown, or the device is not available.
        ModelError: a network is of another kind, or the networks are made for different species.
    """
    factor = units.factor(unit, units.POLARIZABILITY_UNITS, "[polarizability] unit")
    models = _models(networks, "polarizability", factor, setting)
    return Committee(models, {"polarizability": alpha})


class MaceEvaluator(CommitteeEvaluator):
    """Committees of MACE models that share graphs and one backward pass (an ``Evaluator``).

    Args:
        potential: see :func:`potential`.
        dipole: see :func:`dipole`.
        polarizability: see :func:`polarizability`.
        potential_and_dipole: instead of the first two, see :func:`potential_and_dipole`.
        skin: see :class:`mlobs_client.evaluate.committee.CommitteeEvaluator`.
        max_edges: see the same class.
        batch: see the same class.

    Raises:
        ConfigError: the committees are on different devices.
    """

    def __init__(
        self,
        potential: Committee | None = None,
        dipole: Committee | None = None,
        polarizability: Committee | None = None,
        *,
        potential_and_dipole: Committee | None = None,
        skin: float = SKIN,
        max_edges: int | None = None,
        batch: int | None = None,
    ) -> None:
        given = {
            "energy": potential,
            "dipole": dipole,
            "polarizability": polarizability,
            "energy_and_dipole": potential_and_dipole,
        }
        committees = {name: made for name, made in given.items() if made is not None}
        super().__init__(committees, skin=skin, max_edges=max_edges, batch=batch)

    @property
    def compilation(self) -> frozenset[CompilationState]:
        """States of compilation of the networks that the last evaluation needed."""
        models = [model for committee in self.used for model in committee.models]
        return frozenset(
            model.compilation if isinstance(model, CompiledModel) else CompilationState.NONE
            for model in models
        )


def _models(
    networks: Modules,
    quantity: NetworkKind,
    unit: float | Sequence[float],
    setting: Setting,
) -> tuple[PlainModel, ...]:
    """Group members of one architecture; others are evaluated one by one."""
    for name, network in networks.items():
        _check_kind(name, network, quantity)
    (first, sample), *others = networks.items()
    for name, network in others:
        if species_of(network) != species_of(sample):
            raise ModelError(
                f"{name} was made for {symbols(species_of(network))}, but {first} for "
                f"{symbols(species_of(sample))}; members of a committee must agree"
            )
    for network in networks.values():
        _move(network, setting)
    members = [AtomicNetwork(network, quantity) for network in networks.values()]
    alike = len({(m.cutoff, architecture_of(m)) for m in members}) == 1
    groups = [members] if alike else [[member] for member in members]
    if setting.background is None or members[0].has_charges:
        return tuple(PlainModel(group, unit) for group in groups)
    return tuple(CompiledModel(group, unit, setting.background) for group in groups)


def _move(network: torch.nn.Module, setting: Setting) -> None:
    try:
        network.to(device=setting.device, dtype=getattr(torch, setting.dtype))
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f'device = {setting.device!r} cannot be used here ({reason}); write "cpu", or '
            '"cuda" on a machine with an NVIDIA GPU and the CUDA build of torch'
        ) from error


def _check_kind(name: str, network: torch.nn.Module, quantity: NetworkKind) -> None:
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
