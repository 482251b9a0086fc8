"""Response of the polarization to a static field.

For the branches of dipoles see :mod:`~mlobs_client.analysis.branches`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mlobs_client.analysis.branches import on_one_branch, unwrap_dipole
from mlobs_client.analysis.response.fluctuations import covariance
from mlobs_client.analysis.response.permittivity import per_covariance
from mlobs_client.analysis.vibrations.spectra import Runs, as_runs, check_positive
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import ESTIMATOR, NOTE, Curve
from mlobs_client.results.estimate import FEWEST_RUNS, Estimate, check_series
from mlobs_client.results.lines import LinearFit, fit_line
from mlobs_client.results.result import Points
from mlobs_client.results.statistics import mean, mean_of_independent
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_EPSILON_0, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

ON_LINE: Final = 1e-6
"""Largest distance of fields from one line, relative to the strongest field."""

PER_SLOPE: Final = INVERSE_EPSILON_0 * MICROCOULOMB_PER_CM2 / VOLT_PER_ANGSTROM
"""1/epsilon_0: the susceptibility divided by the slope dP/dE in uC/cm^2 per V/angstrom."""


@dataclass(frozen=True)
class PolarizationCurve:
    """Mean polarization along a static field against its strength.

    Attributes:
        field: signed fields along ``direction``, in ascending order, shape ``(n_fields,)``,
            V/angstrom.
        polarization: polarization along ``direction`` in each field, uC/cm^2.
        direction: unit vector, shape ``(3,)``, see :func:`along_one_line`.
        slope: slope of the fitted line, uC/cm^2 per V/angstrom.
        intercept: polarization at zero field according to the fitted line, uC/cm^2.
        susceptibility: slope divided by epsilon_0, without a unit. The field of an electric
            enthalpy H - mu.E is the macroscopic one, so the relative permittivity is 1 +
            susceptibility. A model of the dipole at zero field does not contain the electronic
            response.
        chi_squared: chi squared of the line per degree of freedom; if it is much larger than 1, the
            response is not linear.
        paired: True if the polarization is the difference from a run without a field that started
            from the same state; the line then goes through the origin.
    """

    field: Array
    polarization: tuple[Estimate, ...]
    direction: Array
    slope: Estimate
    intercept: Estimate
    susceptibility: Estimate
    chi_squared: float
    paired: bool = False

    def parts(self, label: str, estimator: str = "") -> tuple[Curve, Points]:
        """Return the line and the points, as parts of a result.

        Args:
            label: label in the legend of a figure.
            estimator: how beads were averaged, for the legend.
        """
        names = ("change of polarization" if self.paired else "polarization", "uC/cm^2")
        axis = ("electric field", "V/angstrom")
        ends = np.array([self.field.min(), self.field.max()])
        if self.paired:
            ends = np.array([min(0.0, ends[0]), max(0.0, ends[1])])
        line = self.intercept.value + self.slope.value * ends
        details: dict[str, str | float] = {
            "direction": str(self.direction.tolist()),
            "chi squared": self.chi_squared,
            ESTIMATOR: estimator,
            **({NOTE: "lines through 0 by symmetry"} if self.paired else {}),
        }
        return (
            Curve.of_one_series(*names, *axis, ends, line, label),
            Points(names[0], *axis, self.field, self.polarization, label, details),
        )

    def numbers(self, label: str) -> dict[str, Estimate]:
        """Return slope, intercept and susceptibility under names that contain the label."""
        return {
            f"slope, {label}": self.slope,
            f"intercept, {label}": self.intercept,
            f"susceptibility, {label}": self.susceptibility,
        }


def polarization_against_field(
    fields: Array,
    dipoles: Sequence[Runs],
    volume: float | Array,
    cell: Array | None = None,
    *,
    interval: float | None = None,
    paired: bool = False,
) -> PolarizationCurve:
    """Determine the mean polarization at several static fields, and fit a line.

    Args:
        fields: at least 3 fields along one line, shape ``(n_fields, 3)``, Eh/(e bohr).
        dipoles: for each field, the dipole after equilibration, shape ``(t, 3)``, e bohr, or
            several such runs.
        volume: volume of the cell, bohr^3; with a barostat, the mean volume in each field, shape
            ``(n_fields,)``.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; if given, jumps in time are removed,
            and the means are moved to one branch, from the runs of the weakest field outwards.
            Leave it out if the dipoles are on one branch already.
        interval: time between samples, ps, for the reason given in place of an error.
        paired: True if dipoles are differences from runs without a field that started from the same
            states. Such a response is not stationary: each pair of runs is one sample, and three or
            more give an error. Without a field, the polarization is zero by symmetry (in an
            isotropic liquid), and the line goes through the origin. In the lists of runs of all
            fields, the pairs from one state must be at the same position.

    Raises:
        RecordError: there are fewer than 3 fields, fields are not on one line, or runs do not match
            them, are too short, are not finite, or have branches that cannot be determined.
    """
    fields = check_series(fields, "fields", least=3)
    if fields.ndim != 2 or fields.shape[1] != 3 or len(dipoles) != len(fields):
        raise RecordError(
            f"fields must have shape (n_fields, 3) with one run each, got {fields.shape} and "
            f"{len(dipoles)} runs"
        )
    volumes = np.asarray(volume, dtype=np.float64) * np.ones(len(fields))
    if not (np.isfinite(volumes) & (volumes > 0.0)).all():
        raise RecordError(f"volume = {volume} bohr^3: must be a positive, finite number")
    direction, strength = along_one_line(fields)
    order = np.argsort(strength, kind="stable")
    strength = strength[order]
    series = [as_runs(dipoles[i], ("t", "3"), f"dipoles of field {i}") for i in order]
    if cell is not None:
        unwrapped = [[unwrap_dipole(run, cell) for run in runs] for runs in series]
        series = on_one_branch(unwrapped, strength, cell)
    polarizations = [
        _polarizations(runs, direction, volumes[i]) for i, runs in zip(order, series, strict=True)
    ]
    estimates = tuple(
        _mean_of_pairs(runs) if paired else mean(runs, "uC/cm^2", interval)
        for runs in polarizations
    )
    field = strength / VOLT_PER_ANGSTROM
    line = _fit_pairs(field, polarizations) if paired else _fit_free(field, estimates)
    return PolarizationCurve(
        field=field,
        polarization=estimates,
        direction=direction,
        slope=line.slope,
        intercept=line.intercept,
        susceptibility=replace(line.slope * PER_SLOPE, unit="1"),
        chi_squared=line.chi_squared,
        paired=paired,
    )


def mean_polarization(
    dipoles: Runs, direction: Array, volume: float, interval: float | None = None
) -> Estimate:
    """Return the mean polarization of the runs in one field.

    Args:
        dipoles: dipole after equilibration, shape ``(t, 3)``, e bohr, or several such runs, on one
            branch.
        direction: unit vector, shape ``(3,)``.
        volume: volume of the cell, bohr^3.
        interval: time between samples, ps, for the reason given in place of an error.

    Returns:
        The component along the direction, uC/cm^2.

    Raises:
        ConfigError: the volume is invalid.
        RecordError: runs are too short, or numbers are not finite.
    """
    check_positive("volume", volume, "bohr^3")
    runs = as_runs(dipoles, ("t", "3"), "dipoles")
    return mean(_polarizations(runs, direction, volume), "uC/cm^2", interval)


def susceptibility_from_fluctuations(
    dipoles: Runs,
    volume: float,
    temperature: float,
    direction: Array,
    interval: float | None = None,
) -> Estimate:
    r"""Determine the linear susceptibility from dipole fluctuations without a field.

    .. math:: \chi = \frac{\langle \mu_d^2 \rangle - \langle \mu_d \rangle^2}{\epsilon_0 V k T}

    The formula is exact for classical nuclei, and for path integrals with the mean over beads, to
    which a static field couples. It corresponds to the slope of :func:`polarization_against_field`
    at zero field. The whole tensor is given by
    :func:`~mlobs_client.analysis.response.permittivity.permittivity_from_fluctuations`.

    Args:
        dipoles: dipole at zero field after equilibration, shape ``(t, 3)``, e bohr, or several such
            runs, on one branch.
        volume: volume of the cell, bohr^3.
        temperature: kT, Eh.
        direction: the unit vector d, shape ``(3,)``, such as that of a polarization curve.
        interval: time between samples, ps, for the reason given in place of an error.

    Returns:
        The susceptibility without a unit, like :attr:`PolarizationCurve.susceptibility`. The
        distribution of a single component is skewed, so fewer than 50 independent samples give no
        error.

    Raises:
        ConfigError: the volume or the temperature is invalid.
        RecordError: a run has fewer than 10 samples, or numbers are not finite.
    """
    scale = per_covariance(volume, temperature)
    along = [run @ direction for run in as_runs(dipoles, ("t", "3"), "dipoles")]
    return covariance([run[:, None] for run in along], interval).mean * scale


def linear_response(at_zero: Estimate, susceptibility: Estimate, field: float) -> Estimate:
    r"""Return the polarization in a field to first order, :math:`P(0) + \epsilon_0 \chi E`.

    The errors of both estimates are added in quadrature, because the mean and the size of Gaussian
    fluctuations are independent.

    Args:
        at_zero: polarization at zero field, uC/cm^2.
        susceptibility: linear susceptibility, without a unit.
        field: signed field, V/angstrom.

    Returns:
        The polarization, uC/cm^2; without an error if one of the two has none.
    """
    change = susceptibility * (field / PER_SLOPE)
    found = replace(
        change,
        value=at_zero.value + change.value,
        error=float(np.hypot(at_zero.error, change.error)),
        unit=at_zero.unit,
    )
    return found.without_error(change.no_error or at_zero.no_error)


def _polarizations(runs: Sequence[Array], direction: Array, volume: float) -> list[Array]:
    """Return the polarization along each run, uC/cm^2."""
    return [run @ direction / volume / MICROCOULOMB_PER_CM2 for run in runs]


def _mean_of_pairs(runs: Sequence[Array], unit: str = "uC/cm^2") -> Estimate:
    """Return the mean change, with the error from the scatter between pairs of runs."""
    means = np.array([run.mean() for run in runs])
    if len(means) < FEWEST_RUNS:
        pairs = "1 pair" if len(means) == 1 else f"{len(means)} pairs"
        reason = f"{pairs} of runs, needs {FEWEST_RUNS}"
        return Estimate(float(means.mean()), np.nan, unit, len(means), reason)
    return mean_of_independent(means, unit, "pairs of runs")


def _fit_free(field: Array, estimates: Sequence[Estimate]) -> LinearFit:
    """Fit a line to points, weighted by their errors unless a point has none.

    Together the points have many degrees of freedom, so their errors are used without widening.
    """
    values = np.array([one.value for one in estimates])
    errors = np.array([one.before_widening for one in estimates])
    weighting = errors if (errors > 0.0).all() else None
    line = fit_line(field, values, weighting, units=("V/angstrom", "uC/cm^2"))
    reason = _lacking(estimates)
    return replace(
        line,
        slope=line.slope.without_error(reason),
        intercept=line.intercept.without_error(reason),
    )


def _fit_pairs(field: Array, polarizations: Sequence[Sequence[Array]]) -> LinearFit:
    """Fit a line through the origin for each state from which the runs of all fields started.

    The slopes are independent, though at each state all fields share the run without a field.

    Raises:
        RecordError: fields have different numbers of pairs.
    """
    counts = sorted({len(runs) for runs in polarizations})
    if len(counts) > 1:
        raise RecordError(
            f"the fields have {counts} pairs of runs; give each field the same starting states"
        )
    weights = field / (field @ field)
    slopes = [
        np.array([weights @ [run.mean() for run in of_state]])
        for of_state in zip(*polarizations, strict=True)
    ]
    slope = _mean_of_pairs(slopes, "uC/cm^2/(V/angstrom)")
    return LinearFit(slope, Estimate(0.0, 0.0, "uC/cm^2", len(field)), float("nan"))


def _lacking(estimates: Sequence[Estimate]) -> str:
    """Return why a line through points has no error; empty if all points have one."""
    n_lacking = sum(bool(one.no_error) for one in estimates)
    return f"{n_lacking} of {len(estimates)} points have none" if n_lacking else ""


def along_one_line(fields: Array, names: Sequence[str] | None = None) -> tuple[Array, Array]:
    """Return the direction of the line of the fields, and their signed strengths along it.

    The first nonzero component of the direction is positive. So the direction is the same for any
    fields on the line, and strengths along an axis have the sign of that component.

    Args:
        fields: shape ``(n_fields, 3)``, Eh/(e bohr).
        names: names of the fields in error messages; by default "field 0", ...

    Returns:
        The unit vector, shape ``(3,)``, and the strengths, shape ``(n_fields,)``, Eh/(e bohr).

    Raises:
        RecordError: all fields are zero, or they are not on one line.
    """
    norms = np.linalg.norm(fields, axis=1)
    strongest = int(np.argmax(norms))
    if norms[strongest] == 0.0:
        raise RecordError("all fields are zero; a response needs runs at different fields")
    direction = fields[strongest] / norms[strongest]
    direction = direction * np.sign(direction[np.abs(direction) > ON_LINE][0])
    strength = fields @ direction
    off = np.linalg.norm(fields - np.outer(strength, direction), axis=1)
    if (off > ON_LINE * norms[strongest]).any():
        i = int(np.argmax(off))
        which = f"field {i}" if names is None else f"the field of {names[i]}"
        written = np.round(fields[i] / VOLT_PER_ANGSTROM, 9).tolist()
        raise RecordError(
            f"{which}, {written} V/angstrom, is not along "
            f"{direction.tolist()} as the strongest is; one curve needs fields on one line"
        )
    return direction, strength
