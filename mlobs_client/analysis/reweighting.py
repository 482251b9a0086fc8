r"""Averages in a field from runs in other fields.

The field enters the energy as -mu.E, so a sample at E counts at E' with the weight

.. math:: w = e^{(E' - E) \cdot \mu / k_B T},

where mu is the dipole or, with path integrals, its mean over the beads: the Boltzmann factor of a
ring polymer has the mean energy of its beads. The runs are canonical, at one temperature and
volume, and their fields are of first order (no polarizability in the energy).

How many samples are left of ``n`` is Kish's :math:`(\sum w)^2 / \sum w^2`, over the statistical
inefficiency. It falls as :math:`e^{-\mathrm{var}(\ln w)}`: where the mean dipole at E' was hardly
ever seen at E, no length of the run helps, and the average and its error are both wrong. Such
averages are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from scipy.special import logsumexp

from mlobs_client.analysis.polarization import along_one_line
from mlobs_client.analysis.spectra import as_runs, check_temperature
from mlobs_client.analysis.statistics import (
    Estimate,
    check_series,
    import_pymbar,
    statistical_inefficiency,
)
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.structure import Array, Integers

LEAST: Final = 50.0
"""Effective samples below which nothing is said: the sum of weights is then uncertain by 14 %,
the bias of the ratio is 2 % of the spread, and below it errors are often too small."""

LEAST_OVERLAP: Final = 0.03
"""Between runs at neighbouring fields: Klimovich, Shirts, Mobley, JCAMD 29, 397 (2015)."""


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
) -> Reweighted:
    """Average of an observable in another field, from one run.

    Args:
        observable: shape ``(t,)``, in ``unit``; for path integrals its estimator.
        dipoles: shape ``(t, 3)``, e bohr, on one branch; for path integrals the mean over beads.
        change: shape ``(3,)``, the other field minus that of the run, Eh/(e bohr).
        temperature: Eh (kelvin times :data:`~mlobs_client.units.KELVIN`).
        unit: of the observable.
        least: how many effective samples must be left.

    Raises:
        ConfigError: an impossible temperature.
        RecordError: wrong shapes, not finite, or fewer than ``least`` effective samples.
    """
    check_temperature(temperature)
    (run,) = as_runs(dipoles, ("t", "3"), "dipoles")
    values = _of_each_sample(observable, run)
    work = run @ np.asarray(change) / temperature
    weights = np.exp(work - logsumexp(work))
    average = float(weights @ values)
    # to first order a ratio of means is the mean of these
    shifts = len(values) * weights * (values - average)
    g = max(statistical_inefficiency(work), statistical_inefficiency(shifts))
    n_effective = _kish(weights) * len(values) / g
    _refuse_below(least, n_effective, change)
    error = float(np.std(shifts, ddof=1)) * np.sqrt(g / len(values))
    return Reweighted(Estimate(average, error, unit, n_effective), _kish(weights))


@dataclass(frozen=True)
class FieldEnsemble:
    """Runs at several fields as one, by the multistate Bennett acceptance ratio (pymbar).

    Attributes:
        fields: shape ``(n_fields, 3)``, Eh/(e bohr), all different.
        overlap: shape ``(n_fields, n_fields)``, between the fields: rows add up to 1.
        dipoles: shape ``(n, 3)``, e bohr, of all samples that were kept as independent.
        observable: shape ``(n,)``, in ``unit``.
        unit: of the observable.
        temperature: Eh.
        mbar: of pymbar.
    """

    fields: Array
    overlap: Array
    dipoles: Array
    observable: Array
    unit: str
    temperature: float
    mbar: Any

    @classmethod
    def of(
        cls,
        observables: Sequence[Array],
        dipoles: Sequence[Array],
        fields: Array,
        temperature: float,
        unit: str = "1",
    ) -> FieldEnsemble:
        """Combine equilibrated runs.

        Args:
            observables: for each run, shape ``(t,)``, in ``unit``.
            dipoles: for each run, shape ``(t, 3)``, e bohr, all on one branch; for path
                integrals the mean over beads.
            fields: of each run, shape ``(n_runs, 3)``, Eh/(e bohr), on one line.
            temperature: Eh, of all runs.
            unit: of the observable.

        Raises:
            ConfigError: an impossible temperature.
            RecordError: wrong shapes, not finite, or neighbours that do not overlap.
        """
        check_temperature(temperature)
        fields = check_series(fields, "fields", least=2)
        runs = as_runs(dipoles, ("t", "3"), "dipoles")
        if fields.shape != (len(runs), 3) or len(observables) != len(runs):
            raise RecordError(
                f"{len(runs)} runs need one field of three numbers and one observable each, got "
                f"fields of shape {fields.shape} and {len(observables)} observables"
            )
        values = [_of_each_sample(one, run) for one, run in zip(observables, runs, strict=True)]
        kept = [_independent(one, run) for one, run in zip(values, runs, strict=True)]
        # runs in one field are one: apart, they would overlap the less, the more there are
        fields, which = np.unique(fields.round(12), axis=0, return_inverse=True)
        order = np.argsort(which, kind="stable")
        counts = [sum(len(kept[i]) for i in np.flatnonzero(which == k)) for k in range(len(fields))]
        samples = np.concatenate([runs[i][kept[i]] for i in order])
        # "robust": the first method of pymbar's default gives scipy options that it does not know
        mbar = import_pymbar().MBAR(
            -fields @ samples.T / temperature,
            counts,
            solver_protocol="robust",
        )
        overlap = np.ones((1, 1))  # which pymbar does not compute
        if len(fields) > 1:
            overlap = np.asarray(mbar.compute_overlap()["matrix"])
            _check_overlap(overlap, fields)
        observable = np.concatenate([values[i][kept[i]] for i in order])
        return cls(fields, overlap, samples, observable, unit, temperature, mbar)

    def expect(self, field: Array, least: float = LEAST) -> Reweighted:
        """Average of the observable in a field, one of the runs' or not.

        Args:
            field: shape ``(3,)``, Eh/(e bohr).
            least: how many effective samples must be left.

        Raises:
            RecordError: fewer are left.
        """
        reduced = -self.dipoles @ np.asarray(field) / self.temperature
        sampled = logsumexp(
            self.mbar.f_k[:, None] - self.mbar.u_kn, axis=0, b=self.mbar.N_k[:, None]
        )
        weights = np.exp(-reduced - sampled - logsumexp(-reduced - sampled))
        n_effective = _kish(weights) * len(weights)
        nearest = np.argmin(np.linalg.norm(self.fields - field, axis=1))
        _refuse_below(least, n_effective, np.asarray(field) - self.fields[nearest])
        found = self.mbar.compute_expectations(self.observable, u_kn=reduced[None])
        value, error = (float(np.ravel(found[name])[0]) for name in ("mu", "sigma"))
        return Reweighted(Estimate(value, error, self.unit, n_effective), _kish(weights))


def _of_each_sample(observable: Array, run: Array) -> Array:
    values = check_series(observable, "observable", least=10)
    if values.shape != (len(run),):
        raise RecordError(
            f"the observable must have shape ({len(run)},), one number for each dipole, got "
            f"{values.shape}"
        )
    return values


def _independent(values: Array, run: Array) -> Integers:
    """Indices of samples that do not know of each other, for the observable and the dipole."""
    # of a vibration more than all samples count, but none can be taken twice
    g = max(1.0, *(statistical_inefficiency(series) for series in (values, *run.T)))
    chosen = import_pymbar().timeseries.subsample_correlated_data(values, g=g)
    return np.asarray(list(chosen), dtype=np.int64)


def _kish(weights: Array) -> float:
    """Of weights that add up to 1."""
    return float(1.0 / np.sum(weights**2) / len(weights))


def _refuse_below(least: float, n_effective: float, change: Array) -> None:
    if not (np.isfinite(least) and least > 0.0):
        raise ConfigError(f"least = {least}: must be a positive number of effective samples")
    if n_effective < least:
        raise RecordError(
            f"only {n_effective:.3g} effective samples are left, {least:g} are needed, after a "
            f"change of the field by {np.linalg.norm(change):.3g} Eh/(e bohr): run at a field in "
            "between, or longer"
        )


def _check_overlap(overlap: Array, fields: Array) -> None:
    _, strength = along_one_line(fields)
    order = np.argsort(strength)
    for one, other in pairwise(order):
        if overlap[one, other] < LEAST_OVERLAP:
            raise RecordError(
                f"the runs at {fields[one].tolist()} and {fields[other].tolist()} Eh/(e bohr) "
                f"overlap by {overlap[one, other]:.2g}, at least {LEAST_OVERLAP} is needed to join "
                "them; run at a field in between"
            )
