"""The mean volume of runs of one system, whether their cells are fixed or fluctuate."""

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
"""Relative: the digits in which i-PI prints a cell."""

DIFFERENT: Final = 4.0
"""Errors between two mean volumes that chance does not make; where runs are too short to have any,
widths of their fluctuations, for the mean of such a run is hardly surer than one of its samples."""


def common_volume(cells: Sequence[Array], names: Sequence[str]) -> float:
    """Return the mean volume over all samples of several runs, bohr^3.

    Means of fluctuating cells may differ by four of their errors; those of runs that are too short
    to have one, by four widths of their fluctuations, and this is said in the log.

    Args:
        cells: of each run, after its equilibration, shape ``(t, 3, 3)``, bohr.
        names: of the runs, for errors.

    Raises:
        RecordError: runs are at different volumes.
    """
    volumes = [np.abs(np.linalg.det(one)) for one in cells]
    ranked = sorted(zip(volumes, names, strict=True), key=lambda item: float(item[0].mean()))
    for smaller, larger in combinations(ranked, 2):
        _compare(smaller, larger)
    return float(np.concatenate(volumes).mean())


def _compare(small: tuple[Array, str], large: tuple[Array, str]) -> None:
    means = [one.mean() for one, _ in (small, large)]
    errors = np.array([_error(one) for one, _ in (small, large)])
    widths = [one.std() for one, _ in (small, large)]
    is_known = not np.isnan(errors).any()
    allowed = DIFFERENT * np.hypot(*(errors if is_known else widths))
    said = "; ".join(
        f"{name}: {average:.6g} bohr^3, " + (f"± {error:.2g}" if is_known else f"width {width:.2g}")
        for (_, name), average, error, width in zip(
            (small, large), means, errors, widths, strict=True
        )
    )
    if means[1] - means[0] > max(allowed, PRINTED * means[1]):
        raise RecordError(
            f"the mean volumes differ ({said}): only runs of one system at one pressure and "
            "temperature can be taken together; leave one out, or skip more with --skip"
        )
    if not is_known:
        logger.warning(
            "the runs are too short for errors of their volumes, which are taken as equal (%s)",
            said,
        )


def _error(volumes: Array) -> float:
    """Of the mean; nothing for a fixed cell, NaN where the run is too short."""
    if np.ptp(volumes) <= PRINTED * volumes.mean():
        return 0.0
    return mean(volumes).error if len(volumes) >= 4 else float("nan")
