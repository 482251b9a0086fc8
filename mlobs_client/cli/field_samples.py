"""Samples that can be reweighted: dipoles and an observable of runs in a static field.

The energy of such a run contains the field as -mu.E (- E.alpha.E/2 at second order), and its cell
is constant. Either the observable does not contain the field, or the field can be subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.analysis.response.branches_of_runs import align_runs
from mlobs_client.analysis.response.reweighting import symmetric
from mlobs_client.client import config
from mlobs_client.errors import RecordError
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.runs import Run
from mlobs_client.tables import read_toml

POLARIZATION: Final = "polarization"
POTENTIAL: Final = "potential"
OF_POSITIONS: Final = ("kinetic_td", "r_gyration", "spring")
"""Properties of i-PI that are one number and depend only on the positions of the beads. Others
contain forces, and so the field of the run (all other estimators of quantum kinetic energies,
pressures, displaced paths), or velocities, on whose distribution a field has no effect."""

SAME_CELL: Final = 1e-6
"""Largest change of a fixed cell as i-PI prints it, as a fraction of its longest component."""


@dataclass(frozen=True)
class FieldSamples:
    """Samples of one run.

    Attributes:
        field: field of the run, shape ``(3,)``, Eh/(e bohr).
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        interval: time between samples, ps.
        dipoles: dipoles in this field, shape ``(t, 3)``, e bohr, mean over beads.
        polarizabilities: symmetric tensors, shape ``(t, 3, 3)``, bohr^3, mean over beads; None at
            first order.
        values: the observable, shape ``(t,)``, atomic units; None for the polarization.
    """

    field: Array
    cell: Array
    interval: float
    dipoles: Array
    polarizabilities: Array | None
    values: Array | None

    def response(self, temperature: float) -> Array:
        """Return d<mu>/dE from fluctuations, shape ``(3, 3)``, bohr^3; ``temperature`` in Eh."""
        of_nuclei = np.cov(self.dipoles.T, bias=True) / temperature
        if self.polarizabilities is None:
            return np.asarray(of_nuclei)
        return np.asarray(of_nuclei + self.polarizabilities.mean(axis=0))


def align_samples(
    runs: Sequence[FieldSamples], names: Sequence[str], temperature: float
) -> tuple[list[FieldSamples], Integers]:
    """Move runs by whole quanta to one branch; their fields may differ.

    Means in different fields also differ by the linear response, which is computed from
    fluctuations.

    Args:
        runs: samples of each run; all runs have the same cell.
        names: names of the runs, for error messages.
        temperature: kT, Eh.

    Returns:
        The runs on one branch, and the quanta by which each was moved, shape ``(n_runs, 3)``.

    Raises:
        RecordError: means differ by something other than whole quanta and the response.
    """
    response = np.mean([run.response(temperature) for run in runs], axis=0)
    expected = np.array([response @ run.field for run in runs])
    dipoles, away = align_runs(
        [run.dipoles for run in runs],
        runs[0].cell,
        names,
        "run longer or at a field in between, or give --branches keep if all are on one branch",
        expected,
    )
    return [replace(run, dipoles=one) for run, one in zip(runs, dipoles, strict=True)], away


def read_field_samples(
    run: Run, steps: Integers, dipoles: Array, observable: str, field: Array, *, second_order: bool
) -> FieldSamples:
    """Read the samples at the steps that all files of a run share.

    Args:
        run: the run; at second order, it has the extras ``polarizability``.
        steps: steps of the dipoles, shape ``(t,)``.
        dipoles: dipoles at these steps, shape ``(t, 3)``, e bohr.
        observable: "polarization", "potential" (without the energy -mu.E in the field), or a
            property that depends only on positions.
        field: field of the run, shape ``(3,)``, Eh/(e bohr).
        second_order: True if the field polarizes the electrons.

    Raises:
        RecordError: files are missing or share no step; the observable may contain the field; the
            cell changes; a client file beside the outputs gives the field another energy.
        ConfigError: such a client file is invalid.
    """
    prefix = run.prefix
    if observable not in (POLARIZATION, POTENTIAL) and observable.split("(")[0] not in OF_POSITIONS:
        raise RecordError(
            f"{prefix}: {observable} cannot be reweighted, as it may contain the field of the run; "
            f"use one of {POLARIZATION}, {POTENTIAL}, {', '.join(OF_POSITIONS)}"
        )
    _refuse_other_energies(prefix, second_order=second_order)
    cell, tensors = _fixed_cell(run, int(steps[0])), None
    if second_order:
        written, read = run.observable("polarizability")
        here, there = _shared(steps, written, f"{prefix}.polarizability_*")
        steps, dipoles = steps[here], dipoles[here]
        tensors = symmetric(read["polarizability"][there].mean(axis=1), dipoles)
    interval = run.interval(steps)
    if observable == POLARIZATION:
        return FieldSamples(field, cell, interval, dipoles, tensors, None)
    written = run.properties["step"].astype(np.int64)
    here, there = _shared(steps, written, f"{prefix}.out")
    values = run.properties[observable][there]
    tensors = None if tensors is None else tensors[here]
    if observable == POTENTIAL:
        values = values - _energy_of(field, dipoles[here], tensors)
    return FieldSamples(field, cell, interval, dipoles[here], tensors, values)


def _energy_of(field: Array, dipoles: Array, tensors: Array | None) -> Array:
    """Return -mu.E - E.alpha.E/2 from the dipoles in the field, mu + alpha.E."""
    halfway = dipoles if tensors is None else dipoles - 0.5 * tensors @ field
    return np.asarray(-halfway @ field)


def _shared(steps: Integers, others: Integers, where: str) -> tuple[Integers, Integers]:
    _, here, there = np.intersect1d(steps, others, return_indices=True)
    if len(here) == 0:
        raise RecordError(f"{where}: has no step with a dipole; write both with one stride")
    return here, there


def _refuse_other_energies(prefix: Path, *, second_order: bool) -> None:
    """Refuse runs to which client files beside the outputs give another energy."""
    for path in sorted(prefix.parent.glob("*.toml")):
        content = read_toml(path, "is gone")
        if not {"field", "displacement"} & set(content):
            continue
        table = config.parse(content, str(path)).coupling
        if "displacement" in content or table is None or table.reduced:
            what = "[displacement]" if "displacement" in content else "[field] with reduced = true"
            raise RecordError(
                f"{path}: has {what}: the energy of these runs is not -mu.E, and mlobs reweight "
                "does not support it"
            )
        if any(table.vector) and table.second_order != second_order:
            said = "without" if table.second_order else "with"
            raise RecordError(
                f"{path}: has second_order = {str(table.second_order).lower()} in [field]; it "
                f"cannot be reweighted {said} --second-order"
            )


def _fixed_cell(run: Run, since: int) -> Array:
    cells = run.cells(since)
    if np.ptp(cells, axis=0).max() > SAME_CELL * np.abs(cells).max():
        raise RecordError(
            f"{run.prefix}: the cell changes; only runs without a barostat can be reweighted"
        )
    return np.asarray(cells.mean(axis=0))
