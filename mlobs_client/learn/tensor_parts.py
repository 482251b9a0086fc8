"""Compare errors of the irreducible parts of polarizabilities with the relevant fluctuations.

A Raman spectrum depends on fluctuations at one volume and composition. The polarizabilities of a
data set may differ mostly by volume and composition, which every model predicts: an error in
percent of their total deviation is too optimistic. So the isotropic and the anisotropic part have
separate errors, and a linear trend is subtracted from the isotropic labels before their deviation
is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlobs_client.structure import Array, Structure

FEWEST_LEFT = 3
"""Smallest number of degrees of freedom after the trend is subtracted."""


def tensor_parts(errors: Array, labels: Array, trend: Array) -> dict[str, dict[str, float | None]]:
    """Return root mean square errors of the isotropic and the anisotropic part.

    The isotropic part is a third of the trace, one number; the anisotropic part is symmetric and
    traceless, five numbers, whose mean square is a fifth of the sum over the nine squared elements.

    Args:
        errors: symmetric tensors, shape ``(n, 3, 3)``, any unit.
        labels: symmetric tensors, shape ``(n_labels, 3, 3)``, in the same unit, whose deviation is
            the reference; they may belong to other structures.
        trend: regressors of the isotropic part, such as the volume, and 1 for its mean, shape
            ``(n_labels, k)``, any units; see :func:`composition_and_volume`.

    Returns:
        ``rmse``, ``standard_deviation`` of the labels (of the anisotropic part about its mean) and
        ``relative_percent`` for ``isotropic`` and ``anisotropic``; for the isotropic part also
        ``deviation_without_trend`` and ``percent_without_trend``, None if there are too few labels.
    """
    isotropic, rest = _split(labels)
    error, rest_error = _split(errors)
    parts = {
        "isotropic": _compare(_rms(error), float(isotropic.std())),
        "anisotropic": _compare(_rms_of_five(rest_error), _rms_of_five(rest - rest.mean(axis=0))),
    }
    deviation = _deviation_without(isotropic, trend)
    percent = None if deviation is None else 100.0 * _rms(error) / deviation
    parts["isotropic"] |= {"deviation_without_trend": deviation, "percent_without_trend": percent}
    return parts


def composition_and_volume(structures: Sequence[Structure]) -> Array:
    """Return regressors for the trend of polarizabilities with composition and volume.

    Args:
        structures: structures of any composition.

    Returns:
        Shape ``(n_structures, k)``: atoms of each species and, if all structures are periodic in
        all directions, the volume, bohr^3. If all have one composition, its columns are constant.
    """
    species = sorted({int(z) for one in structures for z in one.numbers})
    counts = [[np.count_nonzero(one.numbers == z) for z in species] for one in structures]
    columns = np.array(counts, dtype=np.float64)
    if all(all(one.pbc) for one in structures):
        volumes = np.array([one.volume for one in structures])
        columns = np.column_stack([columns, volumes])
    return columns


def _split(tensors: Array) -> tuple[Array, Array]:
    isotropic = np.trace(tensors, axis1=1, axis2=2) / 3.0
    return isotropic, tensors - isotropic[:, None, None] * np.eye(3)


def _compare(error: float, deviation: float) -> dict[str, float | None]:
    return {
        "rmse": error,
        "standard_deviation": deviation,
        "relative_percent": 100.0 * error / deviation if deviation else None,
    }


def _deviation_without(values: Array, trend: Array) -> float | None:
    """Return the standard deviation about a linear fit; None if too few labels are left."""
    scale = np.abs(trend).max(axis=0)  # volumes are large numbers, counts are small ones
    fit, _, rank, _ = np.linalg.lstsq(trend / scale, values, rcond=1e-10)
    n_left = len(values) - int(rank)
    if n_left < FEWEST_LEFT:
        return None
    residual = values - trend / scale @ fit
    return float(np.sqrt(np.sum(residual**2) / n_left)) or None


def _rms_of_five(tensors: Array) -> float:
    return _rms(tensors) * math.sqrt(9.0 / 5.0)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
