"""Contractions as polynomials are those of MACE."""

from __future__ import annotations

import pytest
import torch

from mlobs_client.evaluate.compile import contraction
from mlobs_client.evaluate.compile.contraction import Contractions
from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    from mace.modules.models import o3  # e3nn cannot be imported before mace
    from mace.modules.symmetric_contraction import SymmetricContraction

# of e3nn, when a contraction is built
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit"),
    pytest.mark.filterwarnings("ignore:The TorchScript type system"),
]
N_ATOMS = 5


def contraction_of(features: str, target: str, order: int) -> SymmetricContraction:
    """Of two species; built in single precision, as many networks are."""
    torch.manual_seed(0)
    return SymmetricContraction(
        o3.Irreps(features), o3.Irreps(target), order, num_elements=2, shared_weights=None
    ).double()


@pytest.mark.parametrize(
    ("features", "target", "order"),
    [
        ("3x0e+3x1o", "3x0e+3x1o", 1),
        ("3x0e+3x1o+3x2e", "3x0e+3x1o", 2),
        ("2x0e+2x1o+2x2e", "2x0e+2x1o+2x2e", 3),
        ("2x0e+2x1o+2x2e+2x3o", "2x0e", 3),
    ],
)
def test_values_and_derivatives_are_those_of_mace(features, target, order) -> None:
    whole = contraction_of(features, target, order)
    contractions = Contractions(whole)
    random = torch.Generator().manual_seed(1)
    n_channels = whole.irreps_in.count("0e")
    shape = (N_ATOMS, n_channels, whole.irreps_in.dim // n_channels)
    x = torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_()
    attributes = torch.eye(2, dtype=torch.float64)[torch.tensor([0, 1, 1, 0, 1])]
    for one in whole.contractions:
        assert one in contractions
        expected, found = one(x, attributes), contractions.contract(one, x, attributes)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
        weights = torch.randn(expected.shape, generator=random, dtype=torch.float64)
        torch.testing.assert_close(
            *(torch.autograd.grad([value], [x], [weights]) for value in (found, expected)),
            atol=1e-12,
            rtol=1e-12,
        )


def test_each_product_is_formed_once_and_too_many_are_left_to_mace(monkeypatch) -> None:
    (scalar,) = contraction_of("1x0e+1x1o+1x2e+1x3o", "1x0e", 3).contractions
    assert scalar.U_tensors(3).shape[:3] == (16, 16, 16)
    products = 77 + 16 + 1  # of the orders 3, 2, 1
    monkeypatch.setattr(contraction, "MOST_TERMS", products)
    assert scalar in Contractions(scalar)
    monkeypatch.setattr(contraction, "MOST_TERMS", products - 1)
    assert scalar not in Contractions(scalar)


def test_contractions_whose_tensors_differ_between_members_are_left_to_mace() -> None:
    whole = contraction_of("2x0e+2x1o", "2x0e+2x1o", 2)
    scalar, vector = whole.contractions
    contractions = Contractions(whole, ["contractions.1.U_matrix_2", "contractions.0.weights_max"])
    assert scalar in contractions
    assert vector not in contractions
