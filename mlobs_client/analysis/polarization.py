"""Dipoles of periodic cells: their branches, and the response of the polarization to a field.

The dipole of a periodic cell is defined up to a quantum, e times a lattice vector. A series that
is wrapped (computed from positions inside the cell, or from Berry phases) jumps by quanta; one
from unwrapped positions does not, and must then be left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.analysis.statistics import (
    Estimate,
    check_series,
    fit_line,
    mean,
    statistical_inefficiency,
)
from mlobs_client.errors import RecordError
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_EPSILON_0, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

LARGEST_STEP: Final = 0.25
"""Largest change, in quanta, between neighbours that still tells on which branch they are: the
other choice would be three times as far."""

ON_LINE: Final = 1e-6
"""How far fields may be from one line, of the strongest."""

FEWEST: Final = 4
"""Independent samples of a dipole that show how it fluctuates; a mere drift looks like three."""


@dataclass(frozen=True)
class PolarizationCurve:
    """Mean polarization along a static field against its strength.

    Attributes:
        field: shape ``(n_fields,)``, V/angstrom, along ``direction``, signed, increasing.
        polarization: one per field, uC/cm^2, along ``direction``.
        direction: unit vector, see :func:`along_one_line`.
        slope: of the line fitted, uC/cm^2 per V/angstrom.
        intercept: polarization at zero field, of the line fitted.
        susceptibility: the slope over epsilon_0, without a unit. The field of an electric
            enthalpy H - mu.E is the macroscopic one, so the relative permittivity is 1 + this;
            a model of the dipole at zero field leaves out the electrons' own response.
        chi_squared: of the line, per degree of freedom: much above 1, the response is not linear.
    """

    field: Array
    polarization: tuple[Estimate, ...]
    direction: Array
    slope: Estimate
    intercept: Estimate
    susceptibility: Estimate
    chi_squared: float


def unwrap_dipole(
    dipoles: Array, cell: Array, remedy: str = "write the dipole more often"
) -> Array:
    """Take jumps by e x lattice vectors out of a series of dipoles.

    Args:
        dipoles: shape ``(t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the same at all times.
        remedy: what the error advises.

    Returns:
        Shape ``(t, 3)``, on the branch of the first sample.

    Raises:
        RecordError: a step between samples is too large to tell a jump from motion.
    """
    checked = check_series(dipoles, "dipoles", least=1)
    quanta = in_quanta(checked, cell)  # [t, lattice vector]
    steps = np.diff(quanta, axis=0)
    jumps = np.rint(steps)
    _check_resolved(steps - jumps, "sample", remedy)
    removed = np.vstack([np.zeros(3), np.cumsum(jumps, axis=0)])
    return np.asarray(checked - removed @ cell)


def average_beads(dipoles: Array, cell: Array | None = None) -> Array:
    """Mean dipole over the beads of a path integral: the Kubo-transformed estimator.

    Args:
        dipoles: shape ``(n_beads, t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, rows; if given, all beads are first brought to the branch
            of bead 0.

    Returns:
        Shape ``(t, 3)``, e bohr.

    Raises:
        RecordError: wrong shape, not finite, or beads too far apart to tell their branch.
    """
    checked = check_series(dipoles, "dipoles of beads", least=1)
    if checked.ndim != 3 or checked.shape[-1] != 3:
        raise RecordError(f"dipoles of beads must have shape (n_beads, t, 3), got {checked.shape}")
    if cell is None:
        return np.asarray(checked.mean(axis=0))
    from_first = in_quanta(checked - checked[0], cell)
    jumps = np.rint(from_first)
    _check_resolved(from_first - jumps, "bead", "give dipoles from unwrapped positions")
    return np.asarray((checked - jumps @ cell).mean(axis=0))


def polarization_against_field(
    fields: Array, dipoles: Sequence[Array], volume: float | Array, cell: Array | None = None
) -> PolarizationCurve:
    """Mean polarization of runs at several static fields, and the line through them.

    Args:
        fields: shape ``(n_fields, 3)``, Eh/(e bohr), all along one line; 3 or more that differ.
        dipoles: for each field, shape ``(t, 3)``, e bohr, after equilibration.
        volume: of the cell, bohr^3; where a barostat changes it, the mean of each run, shape
            ``(n_fields,)``.
        cell: shape ``(3, 3)``, bohr, rows; if given, jumps in time are taken out, and the means
            are brought to one branch, from the leg of the weakest field outwards. Leave it out
            where the dipoles are on one branch already.

    Raises:
        RecordError: fields that are not on one line, fewer than 3, runs that do not fit them, too
            short, not finite, or on branches that cannot be told.
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
    series = [check_series(dipoles[i], f"dipoles of field {i}", least=4) for i in order]
    if cell is not None:
        series = _on_one_branch([unwrap_dipole(run, cell) for run in series], strength, cell)
    estimates = tuple(
        mean(run @ direction / volumes[i] / MICROCOULOMB_PER_CM2, "uC/cm^2")
        for i, run in zip(order, series, strict=True)
    )
    return _fit(strength / VOLT_PER_ANGSTROM, estimates, direction)


def susceptibility_from_fluctuations(
    dipoles: Array, volume: float, temperature: float, direction: Array
) -> Estimate:
    r"""Linear response of the polarization, from how the dipole fluctuates without a field.

    .. math:: \chi = \frac{\langle \mu_d^2 \rangle - \langle \mu_d \rangle^2}{\epsilon_0 V k T}

    Exact for classical nuclei, and for path integrals with the mean over beads, on which a static
    field acts. It is what the slope of :func:`polarization_against_field` is at zero field. For the
    whole tensor there is :func:`~mlobs_client.analysis.dielectric.permittivity_from_fluctuations`.

    Args:
        dipoles: shape ``(t, 3)``, e bohr, at zero field, after equilibration, on one branch.
        volume: of the cell, bohr^3.
        temperature: kT, Eh.
        direction: d, a unit vector, that of the field of a curve.

    Returns:
        Without a unit, as :attr:`PolarizationCurve.susceptibility`.

    Raises:
        RecordError: too short for a fluctuation to be seen, or not finite.
    """
    checked = check_series(dipoles, "dipoles", least=4)
    along = checked @ direction
    squares = (along - along.mean()) ** 2
    # the mean is one of the same samples: of n independent ones, the squares lack 1/n
    n_independent = len(along) / statistical_inefficiency(along)
    if n_independent < FEWEST:
        raise RecordError(
            f"the dipole fluctuates too slowly for the {len(along)} samples, which hold fewer than "
            f"{FEWEST} independent ones; run longer"
        )
    seen = 1.0 - 1.0 / n_independent
    # 1/epsilon_0 = 4 pi in atomic units
    return mean(squares) * (INVERSE_EPSILON_0 / (volume * temperature * seen))


def _fit(field: Array, estimates: tuple[Estimate, ...], direction: Array) -> PolarizationCurve:
    values = np.array([one.value for one in estimates])
    errors = np.array([one.error for one in estimates])
    known = errors if (errors > 0.0).all() else None
    line = fit_line(field, values, known, units=("V/angstrom", "uC/cm^2"))
    # chi = (1/epsilon_0) dP/dE, and 1/epsilon_0 = 4 pi in atomic units
    per_slope = INVERSE_EPSILON_0 * MICROCOULOMB_PER_CM2 / VOLT_PER_ANGSTROM
    scaled = line.slope * per_slope
    return PolarizationCurve(
        field=field,
        polarization=estimates,
        direction=direction,
        slope=line.slope,
        intercept=line.intercept,
        susceptibility=Estimate(scaled.value, scaled.error, "1", scaled.n_independent),
        chi_squared=line.chi_squared,
    )


def along_one_line(fields: Array, names: Sequence[str] | None = None) -> tuple[Array, Array]:
    """Direction of the line that fields are on, and the signed strength of all along it.

    The first component of the direction that is not zero is positive. So it is the same for any
    fields on this line, and along an axis strengths have the signs that were written.

    Args:
        fields: shape ``(n_fields, 3)``, Eh/(e bohr).
        names: how an error calls them; "field 0", ... without.

    Raises:
        RecordError: all are zero, or they are not on one line.
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


def _on_one_branch(series: list[Array], strength: Array, cell: Array) -> list[Array]:
    """Shift each leg by quanta next to its neighbour, from the weakest field outwards."""
    start = int(np.argmin(np.abs(strength)))
    result = list(series)
    upwards = [(i, i - 1) for i in range(start + 1, len(series))]
    downwards = [(i, i + 1) for i in range(start - 1, -1, -1)]
    for this, neighbour in upwards + downwards:
        step = in_quanta(result[this].mean(axis=0) - result[neighbour].mean(axis=0), cell)
        jump = np.rint(step)
        _check_resolved(
            (step - jump)[None], "field", "use smaller steps of the field, or unwrapped positions"
        )
        result[this] = result[this] - jump @ cell
    return result


def in_quanta(dipoles: Array, cell: Array) -> Array:
    """Components along the lattice vectors: of dipoles in quanta, of positions in fractions.

    Args:
        dipoles: shape ``(..., 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.

    Raises:
        RecordError: wrong shapes, or a cell without volume.
    """
    cell = np.asarray(cell, dtype=np.float64)
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise RecordError(
            "cell must have shape (3, 3), lattice vectors as rows, and a volume; got "
            f"{cell.tolist()}"
        )
    if dipoles.shape[-1] != 3:
        raise RecordError(f"dipoles must have 3 components, got shape {dipoles.shape}")
    return np.asarray(np.linalg.solve(cell.T, dipoles.reshape(-1, 3).T).T.reshape(dipoles.shape))


def _check_resolved(remainders: Array, what: str, remedy: str) -> None:
    if remainders.size == 0 or np.abs(remainders).max() <= LARGEST_STEP:
        return
    index = np.unravel_index(int(np.argmax(np.abs(remainders))), remainders.shape)
    raise RecordError(
        f"the dipole changes by {abs(remainders[index]):.2f} quanta (e x lattice vector "
        f"{index[-1]}) from one {what} to the next: a jump of branch cannot be told from motion "
        f"above {LARGEST_STEP}; {remedy}"
    )
