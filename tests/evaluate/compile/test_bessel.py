"""The radial basis from one sine."""

from __future__ import annotations

import pytest
import torch
from mace.modules.radial import BesselBasis
from mace.tools.torch_tools import default_dtype

from mlobs_client.evaluate.compile.bessel import evaluate, is_harmonic


@pytest.fixture
def basis() -> BesselBasis:
    with default_dtype(torch.float64):
        return BesselBasis(r_max=4.5, num_basis=8)


def test_recurrence_gives_the_basis_and_its_derivative_up_to_the_cutoff_and_beyond(basis) -> None:
    lengths = torch.linspace(0.3, 5.0, 2001, dtype=torch.float64)[:, None].requires_grad_()
    results = []
    for functions in (basis(lengths), evaluate(basis, lengths)):
        weights = torch.linspace(0.5, 1.0, 8, dtype=torch.float64)
        (slope,) = torch.autograd.grad((functions * weights).sum(), lengths)
        results.append((functions.detach(), slope))
    (expected, expected_slope), (found, slope) = results
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(slope, expected_slope, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_basis_of_mace_is_harmonic_in_both_precisions(basis, dtype) -> None:
    assert is_harmonic(basis.to(dtype))


def test_other_wave_numbers_are_left_alone(basis) -> None:
    assert not is_harmonic(BesselBasis(r_max=4.5, num_basis=8, trainable=True))
    assert not is_harmonic(basis.float().double())  # rounded
