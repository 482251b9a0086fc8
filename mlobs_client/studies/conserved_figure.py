"""Compare the conserved quantities of several runs, with their drifts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import name_errors, with_error
from mlobs_client.results.curve import ESTIMATOR, NOTE, Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.lines import drift
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.result import Result
from mlobs_client.structure import Array
from mlobs_client.units import EV, PICOSECOND


def conserved(
    runs: Mapping[str, tuple[Array, Array]],
    n_atoms: int,
    estimator: str,
    provenance: Provenance | None = None,
) -> Result:
    """Return the changes of the conserved quantity of several runs since their starts, with drifts.

    Args:
        runs: times in atu and conserved quantity in Eh, each of shape ``(t,)``, by label.
        n_atoms: number of atoms (for path integrals, times the number of beads).
        estimator: kind of nuclei, for the legend of a figure, such as "classical nuclei".
        provenance: origin of the runs.

    Raises:
        ConfigError: there are no runs, or no atoms.
        RecordError: a run is too short, or numbers are not finite.
    """
    if not runs or n_atoms < 1:
        raise ConfigError(f"nothing to plot: {len(runs)} runs with {n_atoms} atoms")
    curves: list[Curve] = []
    drifts: dict[str, Estimate] = {}
    for label, (times, values) in runs.items():
        picoseconds = np.asarray(times) / PICOSECOND
        energies = 1000.0 * (np.asarray(values) - values[0]) / EV / n_atoms
        found = drift(picoseconds, 1000.0 * energies, ("ps", "µeV/atom"))
        drifts[f"drift, {label}"] = found
        said = label if found.no_error else f"{label}: drift {with_error(found)} {found.unit}"
        curves.append(
            Curve.of_one_series(
                "conserved quantity from its start", "meV/atom", "time", "ps", picoseconds,
                energies, said,
            )
        )  # fmt: skip
    note = name_errors("drifts: ±1 standard error", drifts.values())
    return Result(
        "conserved quantity",
        tuple(replace(one, details={ESTIMATOR: estimator, NOTE: note}) for one in curves),
        numbers=drifts,
        provenance=provenance or Provenance(),
    )
