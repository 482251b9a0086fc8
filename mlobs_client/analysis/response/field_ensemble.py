"""Averages in a field from runs at several fields, combined by MBAR.

The multistate Bennett acceptance ratio (pymbar) gives the probability of each sample in all runs
together; see :mod:`mlobs_client.analysis.response.reweighting` for the weights and the criterion of
reliability. The error is that of the linearized average, a sum of one contribution per sample: the
spectral density at zero frequency of the contributions of a run gives its part of the variance. So
runs may be shorter than block averaging would require.

Source:
    M. R. Shirts and J. D. Chodera, J. Chem. Phys. 129, 124105 (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import logsumexp, softmax

from mlobs_client.analysis.response.polarization import along_one_line
from mlobs_client.analysis.response.reweighting import (
    LEAST,
    PER_DEGREE,
    Reweighted,
    independent,
    kish,
    of_each_sample,
    refuse_below,
    refuse_short,
    squares,
    symmetric,
)
from mlobs_client.analysis.vibrations.spectra import as_runs, check_temperature
from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import Estimate, check_series, student
from mlobs_client.results.statistics import import_pymbar
from mlobs_client.results.zero_frequency import (
    FREEDOM,
    WINDOW,
    count_independent,
    zero_frequency_density,
)
from mlobs_client.structure import Array, Integers

LEAST_OVERLAP: Final = 0.03
"""Minimum overlap of runs at neighbouring fields (Klimovich, Shirts, Mobley, J. Comput.-Aided Mol.
Des. 29, 397 (2015))."""

PER_INDEPENDENT: Final = 4
"""Number of samples to use per independent sample: one would lose a quarter of the information of
a run, four lose 2 %. The error includes their correlation."""


@dataclass(frozen=True)
class Samples:
    """Samples of one or several runs, one after the other.

    Attributes:
        dipoles: dipoles at zero field, shape ``(n, 3)``, e bohr.
        polarizabilities: symmetric polarizabilities, shape ``(n, 3, 3)``, bohr^3; None for an
            energy of first order in the field.
        temperature: kT, Eh.
    """

    dipoles: Array
    polarizabilities: Array | None
    temperature: float

    def dipoles_in(self, field: Array) -> Array:
        """Return the dipoles in a field; to first order, those at zero field.

        Args:
            field: shape ``(3,)``, Eh/(e bohr).

        Returns:
            Shape ``(n, 3)``, e bohr.
        """
        if self.polarizabilities is None:
            return self.dipoles
        return np.asarray(self.dipoles + self.polarizabilities @ field)

    def reduced_energy(self, field: Array) -> Array:
        """Return the energies of the samples in a field, divided by kT.

        Args:
            field: shape ``(3,)``, Eh/(e bohr).

        Returns:
            Shape ``(n,)``, without a unit.
        """
        # -mu.E - E.alpha.E/2
        halfway = 0.5 * (self.dipoles + self.dipoles_in(field))
        return np.asarray(-halfway @ field / self.temperature)


@dataclass(frozen=True)
class FieldEnsemble:
    """Samples of runs at several fields, combined into one ensemble.

    Attributes:
        fields: the different fields, shape ``(n_fields, 3)``, Eh/(e bohr).
        overlap: overlap between the fields, shape ``(n_fields, n_fields)``; rows add up to 1.
        n_independent: number of independent samples at each field, shape ``(n_fields,)``.
        samples: the samples that are used.
        of_field: index in ``fields`` of each sample, shape ``(n,)``.
        of_run: index of the run of each sample, shape ``(n,)``.
        observable: observable of each sample, shape ``(n,)``, in ``unit``.
        mixture: logarithm of the unnormalized probability of each sample in all runs together,
            shape ``(n,)``.
        shares: share of each field in this probability, shape ``(n_fields, n)``; columns add up
            to 1.
        unit: unit of the observable.
    """

    fields: Array
    overlap: Array
    n_independent: Array
    samples: Samples
    of_field: Integers
    of_run: Integers
    observable: Array
    mixture: Array
    shares: Array
    unit: str

    @classmethod
    def of(
        cls,
        observables: Sequence[Array],
        dipoles: Sequence[Array],
        fields: Array,
        temperature: float,
        unit: str = "1",
        polarizabilities: Sequence[Array] | None = None,
        intervals: Sequence[float] | None = None,
    ) -> FieldEnsemble:
        """Combine equilibrated runs.

        Args:
            observables: observable along each run, shape ``(t,)``, in ``unit``.
            dipoles: dipole along each run, in the field of that run, shape ``(t, 3)``, e bohr,
                all on one branch; for path integrals, the mean over beads.
            fields: field of each run, shape ``(n_runs, 3)``, Eh/(e bohr), on one line.
            temperature: kT of all runs, Eh.
            unit: unit of the observable.
            polarizabilities: polarizability along each run, shape ``(t, 3, 3)``, bohr^3, for
                energies of second order in the field; None for first order.
            intervals: time between samples of each run, ps, for messages that say how long a run
                must be.

        Raises:
            ConfigError: the temperature is invalid.
            RecordError: shapes are wrong, numbers are not finite, fields are not on one line, runs
                at neighbouring fields do not overlap, or a run has fewer than
                :data:`~mlobs_client.results.estimate.FEWEST` independent samples.
        """
        check_temperature(temperature)
        fields = check_series(fields, "fields", least=2)
        runs = as_runs(dipoles, ("t", "3"), "dipoles")
        if fields.shape != (len(runs), 3) or len(observables) != len(runs):
            raise RecordError(
                f"{len(runs)} runs need one field of three numbers and one observable each, got "
                f"fields of shape {fields.shape} and {len(observables)} observables"
            )
        values = [of_each_sample(one, run) for one, run in zip(observables, runs, strict=True)]
        # runs at one field are joined: counted apart, their overlap would fall with their number
        different, which = np.unique(fields.round(12), axis=0, return_inverse=True)
        works = [_along(run, different) for run in runs]
        of_mean = [independent(one, *work) for one, work in zip(values, works, strict=True)]
        of_squares = [independent(*map(squares, work)) for work in works]
        counts = np.minimum(of_mean, of_squares)
        for i, run in enumerate(runs):
            interval = None if intervals is None else intervals[i]
            refuse_short(f"run {i + 1} of {len(runs)}", counts[i], len(run), interval)
        steps = [
            int(len(run) / count / PER_INDEPENDENT)
            for run, count in zip(runs, of_mean, strict=True)
        ]
        used = [np.arange(0, len(run), max(1, n)) for run, n in zip(runs, steps, strict=True)]
        samples = _join(runs, used, fields, temperature, polarizabilities)
        of_run = np.repeat(np.arange(len(runs)), [len(indices) for indices in used])
        of_field = which[of_run]
        n_independent = np.asarray(np.bincount(which, counts), dtype=np.float64)
        energies = np.array([samples.reduced_energy(field) for field in different])
        mixture, shares, overlap = _solve(energies, of_field)
        _check_overlap(overlap, different)
        observable = np.concatenate([series[i] for series, i in zip(values, used, strict=True)])
        return cls(
            different, overlap, n_independent, samples, of_field, of_run, observable, mixture,
            shares, unit,
        )  # fmt: skip

    def expect(
        self, field: Array, least: float = LEAST, observable: Array | None = None
    ) -> Reweighted:
        """Average the observable in any field on the line of the fields of the runs.

        Args:
            field: shape ``(3,)``, Eh/(e bohr).
            least: minimum number of effective samples.
            observable: values in this field, if the observable depends on the field explicitly,
                shape ``(n,)``, in ``unit`` and in the order of ``samples``; by default, the values
                given to :meth:`of`.

        Raises:
            RecordError: there are too few effective samples, or the field is not on the line.
        """
        field = np.asarray(field)
        if len(self.fields) > 1:  # the length of the runs was checked along their line only
            along_one_line(np.vstack([self.fields, field]))
        values = self.observable if observable is None else np.asarray(observable)
        reduced = self.samples.reduced_energy(field)
        weights = softmax(-reduced - self.mixture)
        average = float(weights @ values)
        share = kish(weights)
        seen = share * float(self.n_independent.sum())
        # between two runs that overlap, no tail of the distribution can be missed
        expected = seen if self._is_between(field) else self._expected(field, reduced)
        nearest = np.argmin(np.linalg.norm(self.fields - field, axis=1))
        refuse_below(least, expected, seen, field - self.fields[nearest])
        n_effective = min(expected, seen)
        error = self._error(weights * (values - average), n_effective)
        source = "spectral densities of the weighted samples of all runs at zero frequency"
        return Reweighted(
            Estimate(average, error, self.unit, n_effective, error_from=source), share
        )

    def _error(self, deviations: Array, n_effective: float) -> float:
        """Return the error of an average, widened by Student's t.

        The free energies of the fields also depend on the samples. Their contribution follows, to
        first order, from the MBAR equations, by which the samples of all fields together reproduce
        the number of samples at each field.

        Args:
            deviations: deviations of the observable times the weights, shape ``(n,)``.
            n_effective: number of effective samples.
        """
        slopes = np.diag(self.shares.sum(axis=1)) - self.shares @ self.shares.T
        # singular, because a constant in all free energies changes nothing
        by_free_energies = np.linalg.lstsq(slopes, self.shares @ deviations, rcond=1e-10)[0]
        added = deviations + by_free_energies @ self.shares
        runs = [added[self.of_run == run] for run in range(self.of_run.max() + 1)]
        variances = np.array([len(run) * zero_frequency_density(run) for run in runs])
        if not variances.any():
            return 0.0
        counts = np.array([count_independent(run) for run in runs])
        degrees = np.minimum(counts - 1.0, FREEDOM * WINDOW)
        # the formula of Welch and Satterthwaite for a sum of variances
        freedom = variances.sum() ** 2 / np.sum(variances**2 / degrees)
        widened = student(min(n_effective / PER_DEGREE, float(freedom)))
        return widened * float(np.sqrt(variances.sum()))

    def _is_between(self, field: Array) -> bool:
        ends = self.fields[[0, -1]]  # sorted, on one line
        path = np.linalg.norm(ends - field, axis=1).sum()
        return bool(path <= np.linalg.norm(ends[1] - ends[0]) * (1.0 + 1e-9))

    def _expected(self, field: Array, reduced: Array) -> float:
        """Return the number of effective samples for Gaussian work, summed over single runs.

        Joined runs have at least as many: for any shares s_k that add up to 1, Cauchy's inequality
        bounds (sum s_k)^2 / sum n_k p_k by sum s_k^2 / (n_k p_k); the best shares give the sum.
        """
        total = 0.0
        for k, n in enumerate(self.n_independent):
            work = self.samples.reduced_energy(self.fields[k]) - reduced
            total += float(n * np.exp(-np.var(work[self.of_field == k])))
        return total


def _along(run: Array, fields: Array) -> Array:
    """Return dipoles along the line of the fields, or all components for a single field.

    Returns:
        Shape ``(1, t)`` or ``(3, t)``, e bohr.
    """
    if len(fields) == 1:
        return run.T
    direction, _ = along_one_line(fields)
    return np.asarray(run @ direction)[None]


def _join(
    runs: Sequence[Array],
    used: Sequence[Integers],
    fields: Array,
    temperature: float,
    polarizabilities: Sequence[Array] | None,
) -> Samples:
    chosen = [run[i] for run, i in zip(runs, used, strict=True)]
    if polarizabilities is None:
        return Samples(np.concatenate(chosen), None, temperature)
    tensors = [
        symmetric(tensor, run)[i]
        for tensor, run, i in zip(polarizabilities, runs, used, strict=True)
    ]
    without = [run - one @ field for run, one, field in zip(chosen, tensors, fields, strict=True)]
    return Samples(np.concatenate(without), np.concatenate(tensors), temperature)


def _solve(energies: Array, of_field: Integers) -> tuple[Array, Array, Array]:
    """Return mixture, shares and overlap from reduced energies ``[field, n]``."""
    order = np.argsort(of_field, kind="stable")
    counts = np.bincount(of_field)
    # "robust", because the default of pymbar gives scipy options that it does not know
    mbar = import_pymbar().MBAR(energies[:, order], counts, solver_protocol="robust")
    # pymbar computes no overlap for a single field
    overlap = np.asarray(mbar.compute_overlap()["matrix"]) if len(counts) > 1 else np.ones((1, 1))
    parts = mbar.f_k[:, None] - energies + np.log(counts)[:, None]
    return logsumexp(parts, axis=0), softmax(parts, axis=0), overlap


def _check_overlap(overlap: Array, fields: Array) -> None:
    if len(fields) == 1:
        return
    _, strength = along_one_line(fields)
    order = np.argsort(strength)
    for one, other in pairwise(order):
        if overlap[one, other] < LEAST_OVERLAP:
            raise RecordError(
                f"the runs at {fields[one].tolist()} and {fields[other].tolist()} Eh/(e bohr) "
                f"overlap by {overlap[one, other]:.2g}, but at least {LEAST_OVERLAP} is needed "
                "to combine them; run at a field in between"
            )
