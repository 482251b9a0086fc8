r"""Calibrate committees: find the factor by which their spread predicts their errors.

Let M members have the variance :math:`s^2` (normalized by :math:`M - 1`), and let their mean have
the errors :math:`e`. The true value is assumed to be one more sample of a distribution that is
:math:`\alpha` times as wide as that of the members. The mean of M members fluctuates as well, so

.. math::  \langle e^2 \rangle = (\alpha^2 + 1/M) \langle s^2 \rangle,

and :math:`e / \sqrt{\alpha^2 + 1/M}\, s` follows Student's t distribution with M - 1 degrees of
freedom. The mean of the ratios is then :math:`\langle e^2/s^2 \rangle = (\alpha^2 + 1/M)\,(M -
1)/(M - 3)`; its variance is infinite for M <= 5. So alpha is always estimated from the ratio of
means; for six or more members and 40 or more structures, the mean of ratios is also given.

Source:
    Imbalzano et al., J. Chem. Phys. 154, 074102 (2021), without the limit of many members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from mlobs_client.errors import ConfigError
from mlobs_client.results.estimate import Estimate
from mlobs_client.structure import Array, Integers

FEWEST_MEMBERS: Final = 3
"""Minimum number of members: the spread of two is below a tenth of the true width in 8 % of all
cases, and leaving one out, as a reliability diagram does, leaves no spread."""

MEAN_OF_RATIOS_FROM: Final = 6
"""Smallest number of members for which the variance of the ratios is finite."""

FRAMES_OF_RATIOS: Final = 40
"""Minimum number of structures for the mean of ratios, whose large values are rare: for 20
structures the squared deviation is 1.34 times the squared error on average."""

FEWEST_FRAMES: Final = 5
"""Minimum number of labelled structures."""

N_BOOTSTRAP: Final = 2000
"""Number of bootstrap samples."""


@dataclass(frozen=True)
class Errors:
    """Errors of the mean of a committee, and deviations of its members from the mean.

    A row is an atom or a structure. Its components have equal weights, so that a rotation does not
    change the sum of their squares.

    Attributes:
        quantity: name of the quantity, such as ``"forces"``.
        unit: unit of all numbers.
        errors: label minus mean, shape ``(n_rows, n_components)``, in ``unit``.
        deviations: members minus mean, shape ``(n_members, n_rows, n_components)``, in ``unit``.
        frames: index of the labelled structure of each row, from 0, shape ``(n_rows,)``.
    """

    quantity: str
    unit: str
    errors: Array
    deviations: Array
    frames: Integers

    @property
    def n_members(self) -> int:
        return len(self.deviations)

    @property
    def n_frames(self) -> int:
        return int(self.frames.max()) + 1

    @property
    def variances(self) -> Array:
        """Variances over members (ddof=1), shape ``(n_rows, n_components)``, ``unit`` squared."""
        return np.asarray((self.deviations**2).sum(axis=0) / (self.n_members - 1))

    @property
    def row_spreads(self) -> Array:
        """Spread of each row, pooled over its components, shape ``(n_rows,)``, in ``unit``."""
        return np.asarray(np.sqrt(self.variances.mean(axis=1)))


@dataclass(frozen=True)
class Coverage:
    """Fractions of errors that lie within a multiple of the calibrated spread.

    Attributes:
        observed: fraction of the components of all rows.
        expected: fraction according to Student's t with ``n_members - 1`` degrees of freedom.
    """

    observed: float
    expected: float


@dataclass(frozen=True)
class Calibration:
    """The calibration of the spread of a committee on labelled structures.

    Attributes:
        alpha: factor of the spread, from the ratio of means.
        error: standard error of alpha, by bootstrap over the structures, and at least as large as
            for normally distributed errors.
        mean_of_ratios: alpha and its error from the mean of ratios; None for fewer than six
            members or 40 structures.
        n_members: number of members.
        n_frames: number of labelled structures.
        rms_error: root mean square error of the mean, in the unit of the data.
        rms_spread: root mean square spread before calibration, in the unit of the data.
        smallest_spread: smallest spread of a row before calibration, pooled over its components,
            in the unit of the data.
        largest_spread: largest spread of a row, likewise.
        coverage: fractions of errors within one and within two calibrated spreads.
        rank_correlation: rank correlation (Spearman) of the errors and spreads of rows; None for
            fewer than three rows, or if all errors or all spreads are equal.
    """

    alpha: float
    error: float
    mean_of_ratios: tuple[float, float] | None
    n_members: int
    n_frames: int
    rms_error: float
    rms_spread: float
    smallest_spread: float
    largest_spread: float
    coverage: tuple[Coverage, Coverage]
    rank_correlation: float | None

    @property
    def error_from(self) -> str:
        """Source of the errors, for a reader."""
        return f"bootstrap over {self.n_frames} structures"

    def numbers(self, quantity: str) -> dict[str, Estimate]:
        """Return alpha, by both formulas if both apply, under names that contain the quantity."""
        found = {f"alpha of {quantity}": (self.alpha, self.error)}
        if self.mean_of_ratios is not None:
            found[f"alpha of {quantity}, mean of ratios"] = self.mean_of_ratios
        return {
            name: Estimate(value, error, "1", self.n_frames, error_from=self.error_from)
            for name, (value, error) in found.items()
        }

    @property
    def details(self) -> dict[str, str | float]:
        """Numbers without a standard error, by names for a reader, in the unit of the data."""
        within = zip(("one spread", "two spreads"), self.coverage, strict=True)
        return {
            "members": self.n_members,
            "structures": self.n_frames,
            "rms error": self.rms_error,
            "rms spread without alpha": self.rms_spread,
            "smallest spread without alpha": self.smallest_spread,
            "largest spread without alpha": self.largest_spread,
            **{
                f"share of errors within {name}{which}": share
                for name, part in within
                for which, share in (("", part.observed), (", expected", part.expected))
            },
            **(
                {}
                if self.rank_correlation is None
                else {"rank correlation of errors and spreads": self.rank_correlation}
            ),
        }


def calibrate(data: Errors, seed: int = 0) -> Calibration:
    """Estimate alpha, and assess the calibrated spread.

    Args:
        data: errors of at least three members on at least five structures, which are independent of
            each other and of the training set.
        seed: seed of the bootstrap.

    Raises:
        ConfigError: there are too few members or structures, all members agree, or the errors are
            smaller than the standard error of the mean of the members.
    """
    _check(data)
    variances, squares = data.variances, data.errors**2
    sums = [_by_frame(data, values.mean(axis=1)) for values in (squares, variances)]
    weights = bootstrap_weights(data.n_frames, seed)
    width = 1.0 / data.n_members
    alpha = _alpha(sums[0].sum() / sums[1].sum() - width, data)
    resampled = np.sqrt(np.maximum((weights @ sums[0]) / (weights @ sums[1]) - width, 0.0))
    return Calibration(
        alpha=alpha,
        error=max(standard_error(resampled, data.n_frames), _least_error(data, alpha)),
        mean_of_ratios=_mean_of_ratios(data, weights),
        n_members=data.n_members,
        n_frames=data.n_frames,
        rms_error=float(np.sqrt(squares.mean())),
        rms_spread=float(np.sqrt(variances.mean())),
        smallest_spread=float(data.row_spreads.min()),
        largest_spread=float(data.row_spreads.max()),
        coverage=(coverage(data, alpha, 1.0), coverage(data, alpha, 2.0)),
        rank_correlation=_rank_correlation(np.sqrt(squares.mean(axis=1)), data.row_spreads),
    )


def coverage(data: Errors, alpha: float, multiple: float) -> Coverage:
    """Return the fractions of errors within ``multiple * alpha * spread``.

    Args:
        data: errors and deviations.
        alpha: factor of the spread.
        multiple: number of calibrated spreads.
    """
    inside = np.abs(data.errors) <= multiple * alpha * np.sqrt(data.variances)
    n_members = data.n_members
    limit = multiple * alpha / np.sqrt(alpha**2 + 1.0 / n_members)
    expected = 2.0 * stats.t.cdf(limit, n_members - 1) - 1.0
    return Coverage(float(inside.mean()), float(expected))


def _check(data: Errors) -> None:
    if data.n_members < FEWEST_MEMBERS:
        raise ConfigError(
            f"{data.quantity}: {data.n_members} members cannot be calibrated, as their spread "
            f"is too uncertain; give at least {FEWEST_MEMBERS} models"
        )
    if data.n_frames < FEWEST_FRAMES:
        raise ConfigError(
            f"{data.quantity}: {data.n_frames} labelled structures are too few to calibrate with; "
            f"give at least {FEWEST_FRAMES}"
        )
    if not data.variances.any():
        raise ConfigError(
            f"{data.quantity}: all members agree, so their spread is zero; give models that were "
            "trained with different seeds or splits"
        )


def _alpha(squared: float, data: Errors) -> float:
    if squared <= 0.0:
        raise ConfigError(
            f"{data.quantity}: the errors are smaller than the spread of {data.n_members} members "
            f"allows for their mean: alpha^2 = {squared:.2g}; give more labelled structures on "
            "which no member was trained"
        )
    return float(np.sqrt(squared))


def _least_error(data: Errors, alpha: float) -> float:
    """Return the standard error of alpha for normally distributed errors and deviations.

    The errors of a few structures may agree by chance, which makes the bootstrap error too small.
    The number n of independent components of a structure follows from the deviations: the share of
    a member in the sum of squares of a structure, times M, has the variance
    (2 M - 4)/((M - 1) n + 2).
    """
    n_members, n_frames = data.n_members, data.n_frames
    own = np.array([_by_frame(data, squares.mean(axis=1)) for squares in data.deviations**2])
    total = own.sum(axis=0)
    parts = n_members * own[:, total > 0.0] / total[total > 0.0]
    scatter = float(np.mean((parts - 1.0) ** 2))
    n_independent = max(((2 * n_members - 4) / scatter - 2) / (n_members - 1), 1.0)
    relative = np.sqrt(2.0 * n_members / ((n_members - 1) * n_independent * n_frames))
    return float(relative * (alpha**2 + 1.0 / n_members) / (2.0 * alpha))


def _mean_of_ratios(data: Errors, weights: Array) -> tuple[float, float] | None:
    """Return alpha from the mean of ratios, which leaves out components without any spread."""
    if data.n_members < MEAN_OF_RATIOS_FROM or data.n_frames < FRAMES_OF_RATIOS:
        return None
    variances = data.variances
    differ = variances > 0.0
    ratios = np.divide(data.errors**2, variances, out=np.zeros_like(variances), where=differ)
    sums, counts = (_by_frame(data, values.sum(axis=1)) for values in (ratios, 1.0 * differ))
    factor, width = (data.n_members - 3) / (data.n_members - 1), 1.0 / data.n_members
    squared = factor * sums.sum() / counts.sum() - width
    resampled = factor * (weights @ sums) / np.maximum(weights @ counts, 1.0) - width
    error = standard_error(np.sqrt(np.maximum(resampled, 0.0)), data.n_frames)
    return float(np.sqrt(max(squared, 0.0))), error


def _by_frame(data: Errors, values: Array) -> Array:
    return np.asarray(np.bincount(data.frames, values, data.n_frames), dtype=np.float64)


def bootstrap_weights(n_frames: int, seed: int) -> Array:
    """Return how often each bootstrap sample contains each structure.

    Structures are drawn instead of atoms, because the errors within a structure are correlated.

    Args:
        n_frames: number of structures.
        seed: seed of the random numbers.

    Returns:
        Shape ``(n_bootstrap, n_frames)``.
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n_frames, np.full(n_frames, 1.0 / n_frames), size=N_BOOTSTRAP)
    return drawn.astype(np.float64)


def standard_error(resampled: Array, n_frames: int) -> float:
    """Return the standard error from bootstrap samples, corrected for the number of structures.

    Args:
        resampled: the estimate from each bootstrap sample, shape ``(n_bootstrap,)``, any unit.
        n_frames: number of structures.
    """
    return float(resampled.std() * np.sqrt(n_frames / (n_frames - 1)))


def _rank_correlation(errors: Array, spreads: Array) -> float | None:
    if len(errors) < 3 or np.ptp(errors) == 0.0 or np.ptp(spreads) == 0.0:
        return None
    return float(stats.spearmanr(errors, spreads).statistic)
