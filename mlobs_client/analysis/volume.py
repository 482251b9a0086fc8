"""The mean volume of runs of one system, with fixed or fluctuating cells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array

logger = logging.getLogger(__name__)

PRINTED: Final = 1e-5
"""Relative rounding error of the cells that i-PI prints."""

DIFFERENT: Final = 4.0
"""Smallest significant difference between two mean volumes, in standard errors. If runs are too
short for errors, the widths of their fluctuations replace the errors, as the mean of such a run is
hardly more certain than one of its samples."""


def common_volume(cells: Sequence[Array], names: Sequence[str]) -> float:
    """Return the mean volume over all samples of several runs, bohr^3.

    Means of fluctuating cells may differ by up to four standard errors; if runs are too short for
    errors, by up to four widths of their fluctuations, with a warning in the log.

    Args:
        cells: for each run, the cells after equilibration, shape ``(t, 3, 3)``, bohr.
        names: names of the runs, for error messages.

    Raises:
        RecordError: runs have different volumes.
    """
    volumes = [np.abs(np.linalg.det(run)) for run in cells]
    ranked = sorted(zip(volumes, names, strict=True), key=lambda item: float(item[0].mean()))
    for smaller, larger in combinations(ranked, 2):
        _compare(smaller, larger)
    return float(np.concatenate(volumes).mean())


def _compare(small: tuple[Array, str], large: tuple[Array, str]) -> None:
    means = [volumes.mean() for volumes, _ in (small, large)]
    errors = np.array([_error(volumes) for volumes, _ in (small, large)])
    widths = [volumes.std() for volumes, _ in (small, large)]
    is_known = not np.isnan(errors).any()
    allowed = DIFFERENT * np.hypot(*(errors if is_known else widths))
    described = "; ".join(
        f"{name}: {average:.6g} bohr^3, " + (f"± {error:.2g}" if is_known else f"width {width:.2g}")
        for (_, name), average, error, width in zip(
            (small, large), means, errors, widths, strict=True
        )
    )
    if means[1] - means[0] > max(allowed, PRINTED * means[1]):
        raise RecordError(
            f"the mean volumes differ ({described}): only runs of one system at one pressure and "
            "temperature can be taken together; leave one out, or skip more with --skip"
        )
    if not is_known:
        logger.warning(
            "the runs are too short for errors of their volumes, which are taken to be equal (%s)",
            described,
        )


def _error(volumes: Array) -> float:
    """Return the error of the mean: zero for a fixed cell, NaN for a run that is too short."""
    if np.ptp(volumes) <= PRINTED * volumes.mean():
        return 0.0
    return mean(volumes).error if len(volumes) >= 4 else float("nan")
