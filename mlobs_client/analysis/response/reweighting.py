r"""Averages in a field from runs in other fields.

A sample from a run in the field E counts in the field E' with the weight

.. math:: w = \exp \frac{\Delta \cdot \mu_E + \tfrac12 \Delta \cdot \alpha \Delta}{k_B T},
    \qquad \Delta = E' - E,

where :math:`\mu_E` is the dipole in the field of the run. The energy of a field of first order is
:math:`-\mu \cdot E`: there is no polarizability in it, and :math:`\mu_E = \mu`. With second order
(``second_order = true`` of a client file) it is :math:`-\mu \cdot E - \tfrac12 E \cdot \alpha E`,
and clients write :math:`\mu_E = \mu + \alpha E`. With path integrals both are means over the beads:
the Boltzmann factor of a ring polymer has the mean energy of its beads. The runs are canonical, at
one temperature and in one cell, and their energies contain the field in no other way: neither a
fixed displacement nor fixed voltages in a cell that changes.

How many samples are left of ``n`` is Kish's :math:`(\sum w)^2 / \sum w^2`, over the statistical
inefficiency. But a run that has missed the samples with large weights does not know it: its weights
look even. So the judge is what Gaussian work leaves, :math:`n e^{-\mathrm{var}(\ln w)}`, which
needs no tail. Averages that rest on too few are refused; of work with shorter tails than a
Gaussian, such as that of a dipole with two states, so are some that would be right.
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
"""Effective samples below which nothing is said. With 100, runs that are accepted at the very limit
are off by a quarter of an error on average; with 50, by a half."""

N_BLOCKS: Final = 20
"""Of a run, for its error, where they are long enough."""

PER_BLOCK: Final = 2.5
"""Independent samples that a block has at least: five correlation times."""

PER_DEGREE: Final = 25.0
"""Effective samples for one degree of freedom of the error. It rests on the few samples with the
largest weights: the kurtosis of weighted dipoles gives one degree for 10 to 20. More is for runs
near the limit, of which those are accepted that look better than they are."""


@dataclass(frozen=True)
class Reweighted:
    """An average in a field that was not, or not alone, simulated.

    Attributes:
        estimate: value with its error; ``n_independent`` is how many effective samples it rests
            on: after weights, and after the correlation in time.
        kish: share of the samples that the weights leave, at most 1.
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
    """Average of an observable in another field, from one run.

    The error is that of a jackknife over blocks. Where the weights leave more samples than Gaussian
    work would, the tail was missed, and the error grows as if it had been seen. The bias of the
    ratio of means is below a tenth of the error.

    Args:
        observable: shape ``(t,)``, in ``unit``, as it is in the other field; for path integrals
            its estimator.
        dipoles: shape ``(t, 3)``, e bohr, in the field of the run, on one branch; for path
            integrals the mean over beads.
        change: shape ``(3,)``, the other field minus that of the run, Eh/(e bohr).
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        unit: of the observable.
        least: how many effective samples must be left.
        polarizabilities: shape ``(t, 3, 3)``, bohr^3, where the field is of second order.
        interval: between samples, ps; for the length that a refused run should have.

    Raises:
        ConfigError: an impossible temperature.
        RecordError: wrong shapes, not finite, a run of fewer than
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
    # to first order a ratio of means is the mean of these
    shifts = len(values) * weights * (values - average)
    n = independent(work, shifts, squares(work))
    refuse_short("the run", n, len(values), interval)
    share = kish(weights)
    expected, seen = n * float(np.exp(-np.var(work))), n * share
    refuse_below(least, expected, seen, change)
    blocks = blocks_of(len(values), count_blocks(n))
    sums = np.array([np.bincount(blocks, x) for x in (weights, weights * values)])
    without, of_observable = sums.sum(axis=1, keepdims=True) - sums
    left = min(expected, seen)
    error = jackknife_error(of_observable / without, left) * max(1.0, seen / expected) ** 0.5
    source = f"jackknife over {len(without)} blocks"
    return Reweighted(Estimate(average, error, unit, left, error_from=source), share)


def of_each_sample(observable: Array, run: Array) -> Array:
    """Return the observable as floats after checking that there is one number for each dipole.

    Raises:
        RecordError: another shape, not finite, or fewer samples than blocks.
    """
    values = check_series(observable, "observable", least=N_BLOCKS)
    if values.shape != (len(run),):
        raise RecordError(
            f"the observable must have shape ({len(run)},), one number for each dipole, got "
            f"{values.shape}"
        )
    return values


def symmetric(polarizabilities: Array, run: Array) -> Array:
    """Return the part of the polarizabilities that has an energy in a field.

    Args:
        polarizabilities: shape ``(t, 3, 3)``, bohr^3.
        run: shape ``(t, 3)``, the dipoles.

    Raises:
        RecordError: another shape, or not finite.
    """
    tensors = check_series(polarizabilities, "polarizabilities")
    if tensors.shape != (len(run), 3, 3):
        raise RecordError(
            f"the polarizabilities must have shape ({len(run)}, 3, 3), one tensor for each dipole, "
            f"got {tensors.shape}"
        )
    return np.asarray(0.5 * (tensors + tensors.swapaxes(1, 2)))


def independent(*series: Array) -> float:
    """Return how many independent samples the slowest of several series holds, at most all.

    Of a vibration more than all samples count for its mean, but not for one with weights.
    """
    return min(float(len(series[0])), *(count_independent(one) for one in series))


def refuse_short(
    which: str, n_independent: float, n_samples: int, interval: float | None = None
) -> None:
    """Refuse a run that has hardly decorrelated, as neither its mean nor its error is known.

    Args:
        which: run, for the error.
        n_independent: samples of its work and observable.
        n_samples: that it has.
        interval: between samples, ps.

    Raises:
        RecordError: fewer than :data:`~mlobs_client.results.estimate.FEWEST` are independent.
    """
    if n_independent < FEWEST:
        reason = too_few(n_independent, n_samples, interval)
        raise RecordError(f"{which} is too short to be reweighted: {reason}")


def squares(work: Array) -> Array:
    """Return the squares of deviations from the mean, shape ``(t,)``.

    Weights depend on the amplitude of a vibration, which changes slowly.
    """
    return np.asarray((work - work.mean()) ** 2)


def count_blocks(n_independent: float) -> int:
    """Return into how many blocks samples are divided: none shorter than :data:`PER_BLOCK`."""
    return min(N_BLOCKS, int(n_independent / PER_BLOCK))


def blocks_of(n_samples: int, n_blocks: int) -> Integers:
    """Return the block of each sample, shape ``(n_samples,)``: equally long, in their order."""
    return np.arange(n_samples) * n_blocks // n_samples


def jackknife_error(without: Array, n_effective: float) -> float:
    """Standard error from averages without one block each, widened by Student's t.

    Args:
        without: shape ``(n_blocks,)``.
        n_effective: samples on which the average rests.
    """
    last = len(without) - 1.0
    freedom = min(n_effective / PER_DEGREE, last)
    return student(freedom) * float(np.sqrt(last * np.var(without)))


def kish(weights: Array) -> float:
    """Share of the samples that weights, which add up to 1, leave."""
    return float(1.0 / np.sum(weights**2) / len(weights))


def refuse_below(least: float, expected: float, seen: float, change: Array) -> None:
    """Refuse an average that rests on too few samples.

    The weights themselves may leave half as many. Runs that came by the tail more often than
    others have fewer, and to refuse these would select averages that are too small.

    Args:
        least: how many effective samples must be left.
        expected: are left by Gaussian work.
        seen: are left by the weights.
        change: of the field, Eh/(e bohr).

    Raises:
        ConfigError: ``least`` is not positive.
        RecordError: fewer are left.
    """
    if not (np.isfinite(least) and least > 0.0):
        raise ConfigError(f"least = {least}: must be a positive number of effective samples")
    if expected < least or seen < 0.5 * least:
        raise RecordError(
            f"only {min(expected, seen):.3g} effective samples are left, {least:g} are needed, "
            f"after a change of the field by {np.linalg.norm(change):.3g} Eh/(e bohr): run at a "
            "field in between, or longer"
        )
