"""Evaluate the contributions of atoms to one quantity by a MACE network, from edge vectors.

Sums over the atoms of a structure, units and absolute positions are left to the caller. So a
network does not know to which structure an atom belongs: any number of structures of any sizes
forms one set of atoms and edges, and atoms can be added as padding.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.quantities import QUANTITIES
from mlobs_client.units import ANGSTROM

with quiet_third_parties():
    from mace.modules import EnergyDipolesMACE
    from mace.tools.torch_tools import default_dtype

NetworkKind = Literal["energy", "dipole", "energy_and_dipole", "polarizability"]
"""Quantities that one network predicts."""


class Inputs(NamedTuple):
    """Arguments of networks.

    Attributes:
        vectors: shape ``(n_edges, 3)``, angstrom, from the sender to its neighbour.
        attributes: shape ``(n_atoms, n_species)``, one-hot.
        edges: shape ``(2, n_edges)``, senders and receivers.
    """

    vectors: torch.Tensor
    attributes: torch.Tensor
    edges: torch.Tensor


class AtomicNetwork(torch.nn.Module):
    """Contributions of atoms, shape ``(n_atoms, *shape)``, in the units of the network.

    Attributes:
        shape: shape of one contribution, which is that of the quantity, with two exceptions: energy
            and dipole together have the shape ``(4,)``, and so have dipole and charge for networks
            with learned charges, whose charges are known up to a constant.

    Args:
        network: network of MACE; it is frozen.
        quantity: quantity to take from it.
    """

    def __init__(self, network: torch.nn.Module, quantity: NetworkKind) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        device = next(network.parameters()).device
        for module in network.modules():
            # a mere number in MACE, which differs between members that saw different data
            if isinstance(value := vars(module).get("avg_num_neighbors"), float):
                del module.avg_num_neighbors
                number = torch.tensor(value, dtype=torch.float64, device=device)
                module.register_buffer("avg_num_neighbors", number)
        self.quantity = quantity
        self.has_charges = quantity == "dipole" and hasattr(network, "use_polarizability")
        together = self.has_charges or quantity == "energy_and_dipole"
        self.shape = (4,) if together else QUANTITIES[quantity].axes
        self._dtype = next(network.parameters()).dtype

    @property
    def cutoff(self) -> float:
        """Cutoff of the network, bohr."""
        return float(self.network.r_max) * ANGSTROM  # type: ignore[arg-type]

    def forward(
        self, vectors: torch.Tensor, attributes: torch.Tensor, edges: torch.Tensor
    ) -> torch.Tensor:
        """Evaluate the contributions; the arguments are :class:`Inputs`."""
        n_atoms = len(attributes)
        # Where the network sums over structures, every atom is one; charges are the exception,
        # for their mean over a structure is taken away.
        starts = torch.arange(n_atoms + 1, device=vectors.device)
        owner = starts[:-1]
        if self.has_charges:
            starts, owner = starts[:: max(1, n_atoms)], torch.zeros_like(owner)
        n_structures = len(starts) - 1
        zeros = vectors.new_zeros
        inputs = {
            "shifts": vectors,
            "positions": zeros((n_atoms, 3)),
            "node_attrs": attributes,
            "edge_index": edges,
            "batch": owner,
            "ptr": starts,
            "cell": zeros((3 * n_structures, 3)),  # of no further use
            "charges": zeros(n_atoms),
            "head": torch.zeros_like(starts[:-1]),
            "total_charge": zeros(n_structures),
        }
        with default_dtype(self._dtype):  # ZBL makes numbers of torch's default
            output = self.network(inputs, compute_force=False)
        if self.quantity == "polarizability":
            return output["polarizability"]  # type: ignore[no-any-return]
        if self.quantity == "energy":
            return self._energies(output)
        if self.quantity == "energy_and_dipole":
            dipoles = output["atomic_dipoles"].double()
            return torch.cat([self._energies(output).unsqueeze(1), dipoles], dim=1)
        if self.has_charges:
            return torch.cat([output["atomic_dipoles"], output["charges"].unsqueeze(1)], dim=1)
        return output["atomic_dipoles"]  # type: ignore[no-any-return]

    def _energies(self, output: dict[str, torch.Tensor]) -> torch.Tensor:
        if isinstance(self.network, EnergyDipolesMACE):
            # its node_energy is that of free atoms (MACE 0.3.16); each atom is a structure here
            return output["contributions"].double().sum(dim=1)
        return output["node_energy"]


def architecture_of(network: torch.nn.Module) -> str:
    """Describe the architecture of a network, without the values of its parameters and buffers.

    Networks of the same architecture with the same parameters and buffers are the same function.
    """
    plain = (bool, int, float, str, tuple)
    modules = [
        (name, type(module).__name__, {k: v for k, v in vars(module).items() if type(v) in plain})
        for name, module in network.named_modules()
    ]
    tensors = [(name, t.dtype, tuple(t.shape)) for name, t in network.state_dict().items()]
    return f"{modules} {tensors}"
