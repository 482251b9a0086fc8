r"""Averages in a field from runs at other fields.

A sample from a run in the field E is averaged in the field E' with the weight

.. math:: w = \exp \frac{\Delta \cdot \mu_E + \tfrac12 \Delta \cdot \alpha \Delta}{k_B T},
    \qquad \Delta = E' - E,

where :math:`\mu_E` is the dipole in the field of the run. To first order, the energy in a field is
:math:`-\mu \cdot E`, without a polarizability, and :math:`\mu_E = \mu`. To second order
(``second_order = true`` in a client file) it is :math:`-\mu \cdot E - \tfrac12 E \cdot \alpha E`,
and clients write :math:`\mu_E = \mu + \alpha E`. For path integrals both are means over the beads,
because the Boltzmann factor of a ring polymer contains the mean energy of its beads. The runs must
be canonical, at one temperature and in one cell, and the field must not enter their energies in any
other way: neither as a fixed displacement nor as a fixed voltage in a cell that changes.

The effective number of ``n`` samples is that of Kish, :math:`(\sum w)^2 / \sum w^2`, divided by the
statistical inefficiency. But if a run has missed the samples with large weights, its weights look
uniform, and this number is too large. So the criterion is the effective number for Gaussian work,
:math:`n e^{-\mathrm{var}(\ln w)}`, which does not depend on the tail. Averages from too few
effective samples are refused. If the work has shorter tails than a Gaussian, as for a dipole with
two states, some averages that would be right are refused, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import softmax

from mlobs_client.analysis.vibrations.spectra import as_runs, check_temperature
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import FEWEST, Estimate, check_series, student, too_few
from mlobs_client.results.zero_frequency import count_independent
from mlobs_client.structure import Array, Integers

LEAST: Final = 100.0
"""Minimum number of effective samples of an average. With 100, runs that are accepted at the very
limit have a bias of a quarter of an error; with 50, of a half."""

N_BLOCKS: Final = 20
"""Number of blocks of a run for its error, if they are long enough."""

PER_BLOCK: Final = 2.5
"""Minimum number of independent samples in a block, five correlation times."""

PER_DEGREE: Final = 25.0
"""Number of effective samples for each degree of freedom of the error. The error depends on the few
samples with the largest weights: the kurtosis of weighted dipoles gives one degree of freedom for
10 to 20. This number is larger, because near the limit runs with underestimated errors are accepted
more often."""


@dataclass(frozen=True)
class Reweighted:
    """An average in a field from runs at other fields.

    Attributes:
        estimate: value with its error; ``n_independent`` is the number of effective samples,
            allowing for the weights and for the correlation in time.
        kish: effective fraction of the samples according to their weights, at most 1.
    """

    estimate: Estimate
    kish: float


def reweight(
    observable: Array,
    dipoles: Array,
    change: Array,
    temperature: float,
    *,
    unit: str = "1",
    least: float = LEAST,
    polarizabilities: Array | None = None,
    interval: float | None = None,
) -> Reweighted:
    """Average an observable in another field, from one run.

    The error is from a jackknife over blocks. If the effective number of samples exceeds that for
    Gaussian work, the tail was missed, and the error is widened accordingly. The bias of the ratio
    of means is below a tenth of the error.

    Args:
        observable: observable in the other field, shape ``(t,)``, in ``unit``; for path integrals,
            its estimator.
        dipoles: dipole in the field of the run, shape ``(t, 3)``, e bohr, on one branch; for path
            integrals, the mean over beads.
        change: the other field minus that of the run, shape ``(3,)``, Eh/(e bohr).
        temperature: kT, Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        unit: unit of the observable.
        least: minimum number of effective samples.
        polarizabilities: polarizability along the run, shape ``(t, 3, 3)``, bohr^3, for energies
            of second order in the field; None for first order.
        interval: time between samples, ps, for messages that say how long a run must be.

    Raises:
        ConfigError: the temperature is invalid.
        RecordError: shapes are wrong, numbers are not finite, the run has fewer than
            :data:`~mlobs_client.results.estimate.FEWEST` independent samples, or fewer than
            ``least`` effective ones.
    """
    check_temperature(temperature)
    (run,) = as_runs(dipoles, ("t", "3"), "dipoles")
    values = of_each_sample(observable, run)
    change = np.asarray(change)
    work = run @ change / temperature
    if polarizabilities is not None:
        work = work + 0.5 * symmetric(polarizabilities, run) @ change @ change / temperature
    weights = softmax(work)
    average = float(weights @ values)
    # to first order, the ratio of means is the mean of these
    shifts = len(values) * weights * (values - average)
    n = independent(work, shifts, squares(work))
    refuse_short("the run", n, len(values), interval)
    share = kish(weights)
    expected, seen = n * float(np.exp(-np.var(work))), n * share
    refuse_below(least, expected, seen, change)
    blocks = blocks_of(len(values), count_blocks(n))
    sums = np.array([np.bincount(blocks, x) for x in (weights, weights * values)])
    without, of_observable = sums.sum(axis=1, keepdims=True) - sums
    n_effective = min(expected, seen)
    widening = max(1.0, seen / expected) ** 0.5
    error = jackknife_error(of_observable / without, n_effective) * widening
    source = f"jackknife over {len(without)} blocks"
    return Reweighted(Estimate(average, error, unit, n_effective, error_from=source), share)


def of_each_sample(observable: Array, run: Array) -> Array:
    """Return the observable as floats after checking that there is one number for each dipole.

    Args:
        observable: shape ``(t,)``, any unit.
        run: dipoles, shape ``(t, 3)``, e bohr.

    Raises:
        RecordError: the shape is wrong, numbers are not finite, or there are fewer than
            :data:`N_BLOCKS` samples.
    """
    values = check_series(observable, "observable", least=N_BLOCKS)
    if values.shape != (len(run),):
        raise RecordError(
            f"the observable must have shape ({len(run)},), one number for each dipole, got "
            f"{values.shape}"
        )
    return values


def symmetric(polarizabilities: Array, run: Array) -> Array:
    """Return the symmetric part of the polarizabilities, the only part with an energy in a field.

    Args:
        polarizabilities: shape ``(t, 3, 3)``, bohr^3.
        run: dipoles, shape ``(t, 3)``, e bohr.

    Returns:
        Shape ``(t, 3, 3)``, bohr^3.

    Raises:
        RecordError: the shape is wrong, or numbers are not finite.
    """
    tensors = check_series(polarizabilities, "polarizabilities")
    if tensors.shape != (len(run), 3, 3):
        raise RecordError(
            f"the polarizabilities must have shape ({len(run)}, 3, 3), one tensor for each dipole, "
            f"got {tensors.shape}"
        )
    return np.asarray(0.5 * (tensors + tensors.swapaxes(1, 2)))


def independent(*series: Array) -> float:
    """Return the smallest number of independent samples of several series, at most their length.

    The number for the plain mean of a vibration may exceed the length, but not the number for a
    weighted mean.
    """
    return min(float(len(series[0])), *(count_independent(one) for one in series))


def refuse_short(
    which: str, n_independent: float, n_samples: int, interval: float | None = None
) -> None:
    """Refuse a run that has hardly decorrelated, as neither its mean nor its error is known.

    Args:
        which: name of the run, for the error message.
        n_independent: number of independent samples of its work and observable.
        n_samples: number of its samples.
        interval: time between samples, ps.

    Raises:
        RecordError: there are fewer than :data:`~mlobs_client.results.estimate.FEWEST` independent
            samples.
    """
    if n_independent < FEWEST:
        reason = too_few(n_independent, n_samples, interval)
        raise RecordError(f"{which} is too short to be reweighted: {reason}")


def squares(work: Array) -> Array:
    """Return the squared deviations from the mean.

    They show how slowly weights change: a weight depends on the amplitude of a vibration, which
    changes more slowly than the vibration itself.

    Args:
        work: shape ``(t,)``, without a unit.

    Returns:
        Shape ``(t,)``, without a unit.
    """
    return np.asarray((work - work.mean()) ** 2)


def count_blocks(n_independent: float) -> int:
    """Return the number of blocks, of at least :data:`PER_BLOCK` independent samples each."""
    return min(N_BLOCKS, int(n_independent / PER_BLOCK))


def blocks_of(n_samples: int, n_blocks: int) -> Integers:
    """Return the index of each sample's block, shape ``(n_samples,)``, in the order of samples."""
    return np.arange(n_samples) * n_blocks // n_samples


def jackknife_error(without: Array, n_effective: float) -> float:
    """Return the standard error of a jackknife, widened by Student's t.

    Args:
        without: averages that leave out one block each, shape ``(n_blocks,)``, any unit.
        n_effective: number of effective samples.
    """
    last = len(without) - 1.0
    freedom = min(n_effective / PER_DEGREE, last)
    return student(freedom) * float(np.sqrt(last * np.var(without)))


def kish(weights: Array) -> float:
    """Return the effective fraction of samples for weights that add up to 1, shape ``(n,)``."""
    return float(1.0 / np.sum(weights**2) / len(weights))


def refuse_below(least: float, expected: float, seen: float, change: Array) -> None:
    """Refuse an average with too few effective samples.

    According to the weights themselves, half as many suffice: runs that visit the tail more often
    have fewer, and refusing those would select averages that are too small.

    Args:
        least: minimum number of effective samples.
        expected: effective number for Gaussian work.
        seen: effective number according to the weights.
        change: change of the field, shape ``(3,)``, Eh/(e bohr).

    Raises:
        ConfigError: ``least`` is not positive.
        RecordError: there are too few effective samples.
    """
    if not (np.isfinite(least) and least > 0.0):
        raise ConfigError(f"least = {least}: must be a positive number of effective samples")
    if expected < least or seen < 0.5 * least:
        raise RecordError(
            f"only {min(expected, seen):.3g} effective samples are left after a change of the "
            f"field by {np.linalg.norm(change):.3g} Eh/(e bohr), but {least:g} are needed: run at "
            "a field in between, or longer"
        )
