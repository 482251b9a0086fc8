"""Build untrained networks of MACE, and convert them to double precision."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.structure import Array, Integers

with quiet_third_parties():
    from mace import modules
    from mace.modules.models import o3  # e3nn cannot be imported before mace
    from mace.tools.torch_tools import default_dtype


class NetworkSize(NamedTuple):
    """The size of a network, which determines accuracy and cost.

    Attributes:
        channels: number of features of each degree.
        layers: number of message-passing layers.
        correlation: correlation order of a layer (body order minus 1).
        radial: widths of the layers of the radial network.
        degree: highest degree of the features of a potential.
    """

    channels: int
    layers: int
    correlation: int
    radial: tuple[int, ...]
    degree: int = 1


SIZES: Final = {
    "small": NetworkSize(8, 2, 2, (16,)),
    "medium": NetworkSize(16, 2, 3, (32, 32)),
    "large": NetworkSize(32, 2, 3, (64, 64, 64)),
}
"""Sizes by name; "small" suffices for one phase of one composition, such as liquid water."""


class Architecture(NamedTuple):
    """The architecture of a network.

    Attributes:
        kind: one of :data:`KINDS`.
        size: see :class:`NetworkSize`.
        species: atomic numbers, sorted.
        cutoff: cutoff, angstrom.
        neighbours: mean number of edges per atom, for normalization.
        scale: unit of the energies of a potential inside the network, eV.
        pair_repulsion: True to add the repulsion of nuclei (ZBL), which MACE switches off at the
            sum of covalent radii, to a potential.
    """

    kind: str
    size: NetworkSize
    species: tuple[int, ...]
    cutoff: float
    neighbours: float
    scale: float = 1.0
    pair_repulsion: bool = False


Networks = Mapping[str, torch.nn.Module]
"""Networks by the names of their files."""


class Kind(NamedTuple):
    """One kind of network that can be trained.

    Attributes:
        learns: quantities that it learns; its outputs have these names, and are in e, angstrom and
            eV.
        make: makes an untrained network from the architecture and, if it learns energies, the
            energies of free atoms, shape ``(n_species,)``, eV.
        evaluator: makes an evaluator from trained networks, which it converts in place.
        rate: highest learning rate.
        steps: number of steps of the optimizer.
        optional: labels that a data set need not have.
        weights: default weights of squared errors per atom (of energies and virials, eV) relative
            to those of forces in eV/angstrom; empty if each quantity is compared with its own
            deviation.
    """

    learns: tuple[str, ...]
    make: Callable[[Architecture, Array | None], torch.nn.Module]
    evaluator: Callable[[Networks], Evaluator]
    rate: float
    steps: int
    optional: tuple[str, ...] = ()
    weights: Mapping[str, float] = MappingProxyType({})


def _dipole(architecture: Architecture, energies: Array | None) -> torch.nn.Module:
    # The last layer of AtomicDipolesMACE has no scalars: a gate that vanishes at 0 would
    # silence its readout for ever; sigmoid(0) = 1/2 makes it a linear readout.
    settings = _settings(architecture, "0e 1o") | {
        "gate": torch.sigmoid,
        "MLP_irreps": o3.Irreps(f"{architecture.size.channels}x1o"),
    }
    network: torch.nn.Module = modules.AtomicDipolesMACE(**settings)
    return network


def _polarizability(architecture: Architecture, energies: Array | None) -> torch.nn.Module:
    network: torch.nn.Module = modules.AtomicDielectricMACE(**_settings(architecture, "0e 1o 2e"))
    return network


def _energy_and_dipole(architecture: Architecture, energies: Array | None) -> torch.nn.Module:
    free = _free_atoms(architecture, energies)
    settings = _settings(architecture, "0e 1o") | {"atomic_energies": free}
    network: torch.nn.Module = modules.EnergyDipolesMACE(**settings)
    return network


def _potential(architecture: Architecture, energies: Array | None) -> torch.nn.Module:
    size, free = architecture.size, _free_atoms(architecture, energies)
    degrees = " ".join(("0e", "1o", "2e")[: size.degree + 1])
    settings = _settings(architecture, degrees) | {
        "MLP_irreps": o3.Irreps(f"{size.channels}x0e"),
        "atomic_energies": free,
        "atomic_inter_scale": architecture.scale,
        "atomic_inter_shift": 0.0,
        "pair_repulsion": architecture.pair_repulsion,
    }
    network: torch.nn.Module = modules.ScaleShiftMACE(**settings)
    return network


def _free_atoms(architecture: Architecture, energies: Array | None) -> Array:
    return np.zeros(len(architecture.species)) if energies is None else energies


KINDS: Final[dict[str, Kind]] = {
    "potential": Kind(
        ("forces", "energy", "virials"), _potential,
        lambda n: mace.MaceEvaluator(potential=mace.potential(n)), 0.01, 5000,
        ("forces", "virials", "stress"), {"energy": 10.0, "virials": 1.0},
    ),
    "dipole": Kind(
        ("dipole",), _dipole, lambda n: mace.MaceEvaluator(dipole=mace.dipole(n)), 0.02, 1000
    ),
    "polarizability": Kind(
        ("polarizability",), _polarizability,
        lambda n: mace.MaceEvaluator(polarizability=mace.polarizability(n)), 0.05, 3000,
    ),
    "energy-dipole": Kind(
        ("dipole", "forces", "energy"), _energy_and_dipole,
        lambda n: mace.MaceEvaluator(potential_and_dipole=mace.potential_and_dipole(n)),
        0.01, 5000,
    ),
}  # fmt: skip
"""Kinds by name; the name of a model file begins with the name of its kind."""


def build(
    architecture: Architecture, dtype: torch.dtype, energies: Array | None = None
) -> torch.nn.Module:
    """Make a network with random weights.

    Args:
        architecture: the architecture.
        dtype: precision of weights and constants.
        energies: energies of the free atoms, shape ``(n_species,)``, eV; zero if None.
    """
    with quiet_third_parties(), default_dtype(dtype):
        warnings.filterwarnings("ignore", "The TorchScript type system")  # of e3nn
        return KINDS[architecture.kind].make(architecture, energies)


def _settings(architecture: Architecture, degrees: str) -> dict[str, Any]:
    """Return the settings of all networks; ``degrees`` are irreps of their features in e3nn."""
    irreps = o3.Irreps(
        "+".join(f"{architecture.size.channels}x{degree}" for degree in degrees.split())
    )
    return {
        "r_max": architecture.cutoff,
        "num_bessel": 8,
        "num_polynomial_cutoff": 5,
        "max_ell": 2,
        "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        "interaction_cls_first": modules.interaction_classes["RealAgnosticInteractionBlock"],
        "num_interactions": architecture.size.layers,
        "num_elements": len(architecture.species),
        "hidden_irreps": irreps,
        "MLP_irreps": irreps,
        "avg_num_neighbors": architecture.neighbours,
        "atomic_numbers": list(architecture.species),
        "correlation": architecture.size.correlation,
        "radial_MLP": list(architecture.size.radial),
        "gate": torch.nn.functional.silu,
        "atomic_energies": None,
    }


def scale_outputs(network: torch.nn.Module, factor: float) -> None:
    """Multiply all outputs of an untrained network by a factor, in place."""
    with torch.no_grad():
        for layer in last_layers(network):
            layer.weight.mul_(factor)


def last_layers(network: torch.nn.Module) -> list[Any]:
    """Return the last layers of a network, in whose ``weight`` its outputs are linear."""
    return [
        readout.linear if hasattr(readout, "linear") else readout.linear_2
        for readout in network.readouts  # type: ignore[union-attr]
    ]


def to_float64(
    network: torch.nn.Module, architecture: Architecture, energies: Array | None = None
) -> torch.nn.Module:
    """Return a network in double precision with the same weights, on the CPU.

    Args:
        network: a network in any precision.
        architecture: its architecture.
        energies: energies of the free atoms, shape ``(n_species,)``, eV; zero if None.
    """
    exact = build(architecture, torch.float64, energies)
    copy_weights(network, exact)
    return exact


def copy_weights(network: torch.nn.Module, other: torch.nn.Module) -> None:
    """Copy the weights of a network to another one of the same architecture, without constants."""
    weights = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.copy_(weights[name])


def fit_free_atoms(counts: Array, energies: Array) -> Array:
    """Return the energies of free atoms, eV, that minimize the energies to be learned.

    If the compositions do not determine them, the smallest ones are returned: only differences
    between structures of such compositions are meaningful.

    Args:
        counts: number of atoms of each species, shape ``(n_structures, n_species)``.
        energies: shape ``(n_structures,)``, eV.
    """
    return np.asarray(np.linalg.lstsq(counts, energies, rcond=None)[0])


def count_species(numbers: Sequence[Integers], species: Sequence[int]) -> Array:
    """Return the number of atoms of each species, shape ``(n_structures, n_species)``."""
    return np.array([[float((z == one).sum()) for one in species] for z in numbers])
