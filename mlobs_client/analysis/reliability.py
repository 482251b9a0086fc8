"""Reliability diagrams: errors against spreads, in bins that the noise of spreads does not bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.analysis.calibration import (
    Calibration,
    Errors,
    bootstrap_weights,
    standard_error,
)
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.result import Points
from mlobs_client.structure import Array

MOST_BINS: Final = 10
"""Maximum number of bins."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: errors against calibrated spreads, by bins of rows.

    Attributes:
        spreads: root mean square of the calibrated spread, shape ``(n_bins,)``, in the unit of the
            data.
        errors: root mean square of the errors of the mean, shape ``(n_bins,)``, same unit.
        uncertainties: standard errors of ``errors``, by bootstrap over the structures, shape
            ``(n_bins,)``, same unit.
        slope: ratio of error to spread for a perfect committee, sqrt(1 + 1/(M alpha^2)); it
            exceeds 1 because the mean of M members fluctuates.
    """

    spreads: Array
    errors: Array
    uncertainties: Array
    slope: float

    def parts(self, quantity: str, unit: str, found: Calibration) -> tuple[Curve, Points]:
        """Return the line of a perfect committee and the bins, as parts of a result.

        The line is a little above the diagonal, because the mean of few members fluctuates.

        Args:
            quantity: name of the quantity, such as ``"forces"``.
            unit: unit of errors and spreads.
            found: calibration from the same errors.
        """
        name, axis = f"rms error of {quantity}", (f"calibrated spread of {quantity}", unit)
        ends = np.array([0.0, 1.1 * float(self.spreads.max())])
        line = Curve.of_one_series(name, unit, *axis, ends, self.slope * ends, "perfect committee")
        bins = tuple(
            Estimate(error, by, unit, found.n_frames, error_from=found.error_from)
            for error, by in zip(self.errors.tolist(), self.uncertainties.tolist(), strict=True)
        )
        details = {**found.details, "slope of a perfect committee": self.slope}
        return line, Points(name, *axis, self.spreads, bins, "bins of structures or atoms", details)


def reliability(data: Errors, alpha: float, seed: int = 0) -> Reliability:
    """Bin errors by spread, so that a perfect committee lies on a straight line.

    The spread of a few members is noisy, and sorting rows by it also sorts them by its noise: the
    slope of a perfect committee of five would be 0.74. So rows are sorted by the spread of all
    members but one, pooled over components, and the spread within a bin is measured by the member
    that was left out, whose noise is independent. Every member is left out once.

    Args:
        data: errors and deviations.
        alpha: factor of the spread.
        seed: seed of the bootstrap.
    """
    n_members, n_rows = data.n_members, len(data.errors)
    squares = (data.errors**2).mean(axis=1)
    own = (data.deviations**2).mean(axis=2)  # [m, row], pooled over components
    left_out = own * n_members / (n_members - 1)
    others = (own.sum(axis=0) - left_out) / (n_members - 2)
    n_bins = int(np.clip(round(np.sqrt(n_rows)), 1, MOST_BINS))
    edges = np.quantile(others, np.linspace(0.0, 1.0, n_bins + 1)[1:-1])
    bins = np.searchsorted(edges, others)
    place = (data.frames * n_bins + bins).ravel()

    def sums(values: Array) -> Array:
        counted = np.bincount(place, values.ravel(), data.n_frames * n_bins)
        return np.asarray(counted.reshape(data.n_frames, n_bins))

    of_errors = sums(np.broadcast_to(squares, others.shape))
    of_spreads, counts = sums(left_out), sums(np.ones_like(others))
    filled = counts.sum(axis=0) > 0
    weights = bootstrap_weights(data.n_frames, seed)
    # a bootstrap sample may have no row of a small bin
    resampled = np.sqrt((weights @ of_errors) / np.maximum(weights @ counts, 1.0))
    uncertainties = np.array([standard_error(r, data.n_frames) for r in resampled.T])
    total = counts.sum(axis=0)[filled]
    return Reliability(
        spreads=alpha * np.sqrt(of_spreads.sum(axis=0)[filled] / total),
        errors=np.sqrt(of_errors.sum(axis=0)[filled] / total),
        uncertainties=uncertainties[filled],
        slope=float(np.sqrt(1.0 + 1.0 / (n_members * alpha**2))),
    )
