"""Products laid out for a compiler are those of e3nn."""

from __future__ import annotations

import pytest
import torch

from mlobs_client.evaluate.compile.tensor_product import Products
from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    from mace.modules.irreps_tools import tp_out_irreps_with_instructions
    from mace.modules.models import o3  # e3nn cannot be imported before mace

# of e3nn, when a product is built
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit"),
    pytest.mark.filterwarnings("ignore:The TorchScript type system"),
]
N_EDGES, N_ATOMS = 11, 4


def product_of(features: str, harmonics: str, target: str) -> o3.TensorProduct:
    """As a layer of MACE makes it; built in single precision, as many networks are."""
    irreps = [o3.Irreps(text) for text in (features, harmonics, target)]
    out, instructions = tp_out_irreps_with_instructions(*irreps)
    return o3.TensorProduct(
        *irreps[:2],
        out,
        instructions=instructions,
        shared_weights=False,
        internal_weights=False,
    ).double()


@pytest.mark.parametrize(
    ("features", "harmonics", "target"),
    [
        ("3x0e", "1x0e+1x1o+1x2e", "3x0e+3x1o+3x2e"),
        ("2x0e+2x1o", "1x0e+1x1o+1x2e", "2x0e+2x1o+2x2e"),
        ("4x0e+4x1o+4x2e", "1x0e+1x1o+1x2e+1x3o", "4x0e+4x1o+4x2e+4x3o"),
    ],
)
def test_messages_and_their_derivatives_are_those_of_e3nn(features, harmonics, target) -> None:
    product = product_of(features, harmonics, target)
    products = Products(product)
    assert product in products
    random = torch.Generator().manual_seed(0)
    sizes = (product.irreps_in1.dim, product.irreps_in2.dim, product.weight_numel)
    given = [
        torch.randn((N_EDGES, size), generator=random, dtype=torch.float64).requires_grad_()
        for size in sizes
    ]
    receivers = torch.randint(N_ATOMS, (N_EDGES,), generator=random)
    zeros = torch.zeros((N_ATOMS, product.irreps_out.dim), dtype=torch.float64)
    expected = zeros.index_add(0, receivers, product(*given))
    found = products.multiply(product, *given).sum_into(receivers, N_ATOMS)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0.0)
    weights = torch.randn(expected.shape, generator=random, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad([found], given, [weights]),
        torch.autograd.grad([expected], given, [weights]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0.0)


def test_products_that_mix_channels_are_left_to_e3nn() -> None:
    product = o3.FullyConnectedTensorProduct("2x0e", "2x0e", "2x0e")
    assert product not in Products(product)
