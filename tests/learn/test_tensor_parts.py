"""Errors of the parts of tensors that were put together from known parts."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.learn.tensor_parts import composition_and_volume, tensor_parts
from mlobs_client.structure import Structure

RANDOM = np.random.default_rng(0)


def anisotropic(n: int, size: float) -> np.ndarray:
    """Symmetric and traceless, five independent numbers of this size along orthonormal tensors."""
    basis = np.zeros((5, 3, 3))
    for k, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        basis[k, i, j] = basis[k, j, i] = np.sqrt(0.5)
    basis[3] = np.diag([1.0, -1.0, 0.0]) / np.sqrt(2.0)
    basis[4] = np.diag([1.0, 1.0, -2.0]) / np.sqrt(6.0)
    return np.einsum("nk,kij->nij", size * RANDOM.normal(size=(n, 5)), basis)


def cells(volumes: np.ndarray, n_oxygen: np.ndarray) -> list[Structure]:
    structures = []
    for volume, n in zip(volumes, n_oxygen, strict=True):
        numbers = np.array([8] * int(n) + [1] * 2)
        edge = float(volume) ** (1 / 3) * np.eye(3)
        structures.append(Structure(numbers, np.zeros((len(numbers), 3)), edge))
    return structures


def test_the_isotropic_error_is_judged_by_what_the_volume_does_not_explain() -> None:
    n = 400
    volumes = 12000.0 + 800.0 * RANDOM.normal(size=n)
    own = RANDOM.normal(size=n)  # of size 1, beside a trend of size 8 and compositions of 5 each
    n_oxygen = RANDOM.integers(1, 4, size=n)
    isotropic = own + 0.01 * volumes + 5.0 * n_oxygen
    labels = isotropic[:, None, None] * np.eye(3) + anisotropic(n, 2.0)
    errors = 0.5 * RANDOM.normal(size=40)[:, None, None] * np.eye(3) + anisotropic(40, 0.2)
    trend = composition_and_volume(cells(volumes, n_oxygen))
    found = tensor_parts(errors, labels, trend)
    flattering, honest = (
        found["isotropic"][f"{k}"] for k in ("relative_percent", "percent_without_trend")
    )
    assert flattering is not None
    assert honest is not None
    assert flattering < 8.0
    rmse = np.sqrt(np.mean((np.trace(errors, axis1=1, axis2=2) / 3) ** 2))
    assert found["isotropic"]["rmse"] == pytest.approx(rmse)
    assert found["isotropic"]["deviation_without_trend"] == pytest.approx(1.0, rel=0.1)
    assert honest == pytest.approx(100.0 * rmse, rel=0.1)
    # five numbers of size 0.2 against five of size 2: standard errors of 7 % and 2 %
    assert found["anisotropic"]["rmse"] == pytest.approx(0.2, rel=0.2)
    assert found["anisotropic"]["standard_deviation"] == pytest.approx(2.0, rel=0.06)


def test_too_few_labels_do_not_tell_what_is_left_of_a_trend() -> None:
    labels = anisotropic(4, 1.0) + RANDOM.normal(size=4)[:, None, None] * np.eye(3)
    trend = composition_and_volume(cells(np.array([1e3, 2e3, 3e3, 4e3]), np.array([1, 1, 1, 1])))
    found = tensor_parts(labels[:2], labels, trend)
    assert found["isotropic"]["percent_without_trend"] is None
    assert found["isotropic"]["relative_percent"] is not None


def test_molecules_have_compositions_but_no_volume() -> None:
    water = Structure(np.array([8, 1, 1]), np.zeros((3, 3)), np.zeros((3, 3)), (False,) * 3)
    np.testing.assert_array_equal(composition_and_volume([water, water]), [[2.0, 1.0]] * 2)
    assert composition_and_volume(cells(np.array([10.0]), np.array([1]))).shape == (1, 3)
