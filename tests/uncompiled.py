"""What compiled networks are compared with."""

from __future__ import annotations

import numpy as np
import torch

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs

KINDS = {
    "potential": "energy",
    "unscaled potential": "energy",
    "dipole": "dipole",
    "dielectric": "polarizability",
}
"""Which quantity each kind of untrained network gives."""


def reference(
    networks: list[AtomicNetwork], inputs: Inputs, weights: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Contributions and the derivative of their weighted sum, by torch alone."""
    vectors = inputs.vectors.clone().requires_grad_()
    values = torch.stack([network(*inputs._replace(vectors=vectors)) for network in networks])
    (derivative,) = torch.autograd.grad([values], [vectors], [weights])
    return values.detach().numpy(), derivative.numpy()
