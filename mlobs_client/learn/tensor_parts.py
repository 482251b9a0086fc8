"""Errors of the irreducible parts of polarizabilities, against fluctuations that matter.

A Raman spectrum is made of fluctuations at one volume and composition. The polarizabilities of a
data set may differ mostly by its volumes and compositions, which every model gets right: an error
in percent of their whole deviation flatters. So the isotropic and the anisotropic part have errors
of their own, and a linear trend is taken away from the isotropic labels before their deviation is
called what there was to predict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlobs_client.structure import Array, Structure

FEWEST_LEFT = 3
"""Degrees of freedom that the labels must keep when the trend is taken away."""


def tensor_parts(errors: Array, labels: Array, trend: Array) -> dict[str, dict[str, float | None]]:
    """Root mean square errors of the isotropic and the anisotropic part.

    The isotropic part is a third of the trace, one number; the anisotropic part is symmetric and
    traceless, five numbers, of which the mean square is a fifth of the sum over the nine elements.

    Args:
        errors: shape ``(n, 3, 3)``, symmetric.
        labels: shape ``(n_labels, 3, 3)``, symmetric: those that show how much there is to predict;
            they need not be of the same structures.
        trend: shape ``(n_labels, k)``, what the isotropic part goes along with linearly, such as
            the volume, and 1 for its mean; see :func:`composition_and_volume`.

    Returns:
        For ``isotropic`` and ``anisotropic``: ``rmse``, ``standard_deviation`` of the labels (of
        the anisotropic part about its mean), ``relative_percent``; for the isotropic part also
        ``deviation_without_trend`` and ``percent_without_trend``, None where too few labels are
        left to tell.
    """
    isotropic, rest = _split(labels)
    error, rest_error = _split(errors)
    parts = {
        "isotropic": _compare(_rms(error), float(isotropic.std())),
        "anisotropic": _compare(_rms_of_five(rest_error), _rms_of_five(rest - rest.mean(axis=0))),
    }
    left = _deviation_without(isotropic, trend)
    percent = None if left is None else 100.0 * _rms(error) / left
    parts["isotropic"] |= {"deviation_without_trend": left, "percent_without_trend": percent}
    return parts


def composition_and_volume(structures: Sequence[Structure]) -> Array:
    """What the polarizabilities of different structures differ by before anything moves.

    Args:
        structures: of any composition.

    Returns:
        Shape ``(n_structures, k)``: atoms of each species and, where all structures are periodic in
        all directions, the volume, bohr^3. Where all have one composition, its column is constant.
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
    """Standard deviation about a linear fit; None where next to nothing is left to judge by."""
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
