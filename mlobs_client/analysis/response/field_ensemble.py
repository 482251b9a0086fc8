"""Averages in a field from runs at several fields, which are joined.

Joined by the multistate Bennett acceptance ratio (pymbar), which knows how often all runs together
come by each sample; see :mod:`mlobs_client.analysis.response.reweighting` for the weights and
their judge.
The error is that of what each run adds to the average, to first order, by spectral densities at
zero frequency: runs may be shorter than is needed for blocks.

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
"""Between runs at neighbouring fields: Klimovich, Shirts, Mobley, JCAMD 29, 397 (2015)."""

KEPT: Final = 4
"""Samples that are kept for each independent one: one would lose a quarter of what a run knows,
four lose 2 %. The error knows of the correlation."""


@dataclass(frozen=True)
class Samples:
    """Samples of one or several runs, in one order.

    Attributes:
        dipoles: shape ``(n, 3)``, e bohr, without a field.
        polarizabilities: symmetric, shape ``(n, 3, 3)``, bohr^3; None at first order.
        temperature: Eh.
    """

    dipoles: Array
    polarizabilities: Array | None
    temperature: float

    def dipoles_in(self, field: Array) -> Array:
        """Dipoles in a field, shape ``(n, 3)``, e bohr; those without one at first order."""
        if self.polarizabilities is None:
            return self.dipoles
        return np.asarray(self.dipoles + self.polarizabilities @ field)

    def reduced_energy(self, field: Array) -> Array:
        """Energy of a field, Eh/(e bohr), over kT, shape ``(n,)``."""
        # -mu.E - E.alpha.E/2
        halfway = 0.5 * (self.dipoles + self.dipoles_in(field))
        return np.asarray(-halfway @ field / self.temperature)


@dataclass(frozen=True)
class FieldEnsemble:
    """Runs at several fields as one.

    Attributes:
        fields: shape ``(n_fields, 3)``, Eh/(e bohr), all different.
        overlap: shape ``(n_fields, n_fields)``, between the fields: rows add up to 1.
        n_independent: shape ``(n_fields,)``, samples that do not know of each other.
        samples: those that were kept.
        of_field: shape ``(n,)``, in which of ``fields`` each was made.
        of_run: shape ``(n,)``, in which run.
        observable: shape ``(n,)``, in ``unit``.
        mixture: shape ``(n,)``, logarithm of how often all runs together come by a sample.
        shares: shape ``(n_fields, n)``, how much of this is due to each field; columns add up to 1.
        unit: of the observable.
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
            observables: for each run, shape ``(t,)``, in ``unit``.
            dipoles: for each run, shape ``(t, 3)``, e bohr, in its field, all on one branch; for
                path integrals the mean over beads.
            fields: of each run, shape ``(n_runs, 3)``, Eh/(e bohr), on one line.
            temperature: Eh, of all runs.
            unit: of the observable.
            polarizabilities: for each run, shape ``(t, 3, 3)``, bohr^3, where the field is of
                second order.
            intervals: between samples of each run, ps; for the length that a refused one needs.

        Raises:
            ConfigError: an impossible temperature.
            RecordError: wrong shapes, not finite, neighbours that do not overlap, or a run of fewer
                than :data:`~mlobs_client.results.estimate.FEWEST` independent samples.
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
        # runs in one field are one: apart, they would overlap the less, the more there are
        different, which = np.unique(fields.round(12), axis=0, return_inverse=True)
        works = [_along(run, different) for run in runs]
        of_mean = [independent(one, *work) for one, work in zip(values, works, strict=True)]
        of_squares = [independent(*map(squares, work)) for work in works]
        counts = np.minimum(of_mean, of_squares)
        for i, run in enumerate(runs):
            interval = None if intervals is None else intervals[i]
            refuse_short(f"run {i + 1} of {len(runs)}", counts[i], len(run), interval)
        steps = [int(len(run) / count / KEPT) for run, count in zip(runs, of_mean, strict=True)]
        kept = [np.arange(0, len(run), max(1, n)) for run, n in zip(runs, steps, strict=True)]
        samples = _join(runs, kept, fields, temperature, polarizabilities)
        of_run = np.repeat(np.arange(len(runs)), [len(one) for one in kept])
        of_field = which[of_run]
        n_independent = np.asarray(np.bincount(which, counts), dtype=np.float64)
        energies = np.array([samples.reduced_energy(field) for field in different])
        mixture, shares, overlap = _solve(energies, of_field)
        _check_overlap(overlap, different)
        observable = np.concatenate([one[i] for one, i in zip(values, kept, strict=True)])
        return cls(
            different, overlap, n_independent, samples, of_field, of_run, observable, mixture,
            shares, unit,
        )  # fmt: skip

    def expect(
        self, field: Array, least: float = LEAST, observable: Array | None = None
    ) -> Reweighted:
        """Average of the observable in a field, one of the runs' or not.

        Args:
            field: shape ``(3,)``, Eh/(e bohr).
            least: how many effective samples must be left.
            observable: as it is in this field, shape ``(n,)``, in the order of ``samples``, where
                it depends on the field as such; that of :meth:`of` without.

        Raises:
            RecordError: fewer are left, or the field is not on the line of those of the runs.
        """
        field = np.asarray(field)
        if len(self.fields) > 1:  # along which the runs are known to be long enough
            along_one_line(np.vstack([self.fields, field]))
        values = self.observable if observable is None else np.asarray(observable)
        reduced = self.samples.reduced_energy(field)
        weights = softmax(-reduced - self.mixture)
        average = float(weights @ values)
        share = kish(weights)
        seen = share * float(self.n_independent.sum())
        # between two runs that overlap no tail can be missed
        expected = seen if self._is_between(field) else self._expected(field, reduced)
        nearest = np.argmin(np.linalg.norm(self.fields - field, axis=1))
        refuse_below(least, expected, seen, field - self.fields[nearest])
        left = min(expected, seen)
        error = self._error(weights * (values - average), left)
        source = "spectral densities of the weighted samples of all runs at zero frequency"
        return Reweighted(Estimate(average, error, self.unit, left, error_from=source), share)

    def _error(self, deviations: Array, n_effective: float) -> float:
        """Of an average, widened by Student's t.

        The free energies of the fields depend on the samples, too: by their equations, which say
        that each field is found as often as there are samples of it, to first order.

        Args:
            deviations: of the observable, times the weights, shape ``(n,)``.
            n_effective: samples on which the average rests.
        """
        slopes = np.diag(self.shares.sum(axis=1)) - self.shares @ self.shares.T
        # singular: one constant in all free energies changes nothing
        by_free_energies = np.linalg.lstsq(slopes, self.shares @ deviations, rcond=1e-10)[0]
        added = deviations + by_free_energies @ self.shares
        runs = [added[self.of_run == run] for run in range(self.of_run.max() + 1)]
        variances = np.array([len(run) * zero_frequency_density(run) for run in runs])
        if not variances.any():
            return 0.0
        counts = np.array([count_independent(run) for run in runs])
        degrees = np.minimum(counts - 1.0, FREEDOM * WINDOW)
        # of Welch and Satterthwaite, for a sum of variances
        freedom = variances.sum() ** 2 / np.sum(variances**2 / degrees)
        widened = student(min(n_effective / PER_DEGREE, float(freedom)))
        return widened * float(np.sqrt(variances.sum()))

    def _is_between(self, field: Array) -> bool:
        ends = self.fields[[0, -1]]  # sorted, on one line
        path = np.linalg.norm(ends - field, axis=1).sum()
        return bool(path <= np.linalg.norm(ends[1] - ends[0]) * (1.0 + 1e-9))

    def _expected(self, field: Array, reduced: Array) -> float:
        """Effective samples of Gaussian work: the sum of those of each run alone.

        Joined runs have at least as many: for any shares s_k that add up to 1, Cauchy's inequality
        bounds (sum s_k)^2 / sum n_k p_k by sum s_k^2 / (n_k p_k); the best shares give the sum.
        """
        left = 0.0
        for k, n in enumerate(self.n_independent):
            work = self.samples.reduced_energy(self.fields[k]) - reduced
            left += float(n * np.exp(-np.var(work[self.of_field == k])))
        return left


def _along(run: Array, fields: Array) -> Array:
    """Dipoles along the line of the fields, or all components where there is no line.

    Returns:
        Shape ``(1, t)`` or ``(3, t)``.
    """
    if len(fields) == 1:
        return run.T
    direction, _ = along_one_line(fields)
    return np.asarray(run @ direction)[None]


def _join(
    runs: Sequence[Array],
    kept: Sequence[Integers],
    fields: Array,
    temperature: float,
    polarizabilities: Sequence[Array] | None,
) -> Samples:
    chosen = [run[i] for run, i in zip(runs, kept, strict=True)]
    if polarizabilities is None:
        return Samples(np.concatenate(chosen), None, temperature)
    tensors = [
        symmetric(one, run)[i] for one, run, i in zip(polarizabilities, runs, kept, strict=True)
    ]
    without = [run - one @ field for run, one, field in zip(chosen, tensors, fields, strict=True)]
    return Samples(np.concatenate(without), np.concatenate(tensors), temperature)


def _solve(energies: Array, of_field: Integers) -> tuple[Array, Array, Array]:
    """Mixture, shares and overlap of a :class:`FieldEnsemble`; energies are ``[field, sample]``."""
    order = np.argsort(of_field, kind="stable")
    counts = np.bincount(of_field)
    # "robust": the first method of pymbar's default gives scipy options that it does not know
    mbar = import_pymbar().MBAR(energies[:, order], counts, solver_protocol="robust")
    # which pymbar does not compute of one field
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
                f"overlap by {overlap[one, other]:.2g}, at least {LEAST_OVERLAP} is needed to join "
                "them; run at a field in between"
            )
