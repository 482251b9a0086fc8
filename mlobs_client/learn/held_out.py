"""Calibrate the spread of a new committee on held-out structures, and measure its cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from mlobs_client.analysis.calibration import FEWEST_MEMBERS, Calibration, calibrate
from mlobs_client.client.total_energy import observe
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.learn.committee_errors import committee_errors
from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.networks import KINDS
from mlobs_client.quantities import of_members

TOO_FEW_MEMBERS: Final = f"it needs at least {FEWEST_MEMBERS} members"

N_TIMED: Final = 3
"""Number of evaluations, of which the fastest counts."""


@dataclass(frozen=True)
class HeldOut:
    """Calibration and cost of a committee.

    Attributes:
        calibrations: calibration by quantity, or the reason why there is none.
        milliseconds: time to evaluate all members and their derivatives, per atom of the largest
            held-out structure, with the threads of this process.
        n_atoms: number of atoms of that structure.
    """

    calibrations: Mapping[str, Calibration | str]
    milliseconds: float
    n_atoms: int

    def as_json(self) -> dict[str, Any]:
        """Return alpha and its error by quantity, or the reason; and the cost."""
        alphas = {
            name: {"no_alpha": one}
            if isinstance(one, str)
            else {"alpha": one.alpha, "error": one.error, "n_frames": one.n_frames}
            for name, one in self.calibrations.items()
        }
        cost = {"milliseconds_per_atom": self.milliseconds, "n_atoms": self.n_atoms}
        return {"calibration": alphas, "cost": cost}


def examine(data_set: DataSet, networks: Mapping[str, torch.nn.Module]) -> HeldOut:
    """Calibrate a committee on the held-out structures, and time it.

    Args:
        data_set: data set that the committee was trained on.
        networks: networks by the names of their files; they are converted in place.
    """
    evaluator = KINDS[data_set.kind].evaluator(networks)
    labelled = [_without_integers(data_set.labelled[s]) for s in data_set.test]
    names = [name for name in of_members() if name in data_set.learns]
    found: dict[str, Calibration | str] = dict.fromkeys(names, TOO_FEW_MEMBERS)
    if len(networks) >= FEWEST_MEMBERS:
        found = {name: _calibrate(evaluator, labelled, name) for name in names}
    largest = max(labelled, key=lambda one: one.structure.n_atoms)
    seconds = _seconds(evaluator, largest, frozenset(of_members()[name].name for name in names))
    n_atoms = largest.structure.n_atoms
    return HeldOut(found, 1e3 * seconds / n_atoms, n_atoms)


def _without_integers(one: LabelledStructure) -> LabelledStructure:
    """Return a structure with the part of its dipole that the networks learn."""
    if "dipole" not in one.labels:
        return one
    return replace(one, labels={**one.labels, "dipole": one.single_valued_dipole})


def _calibrate(
    evaluator: Evaluator, labelled: list[LabelledStructure], name: str
) -> Calibration | str:
    try:
        errors = committee_errors([evaluator], labelled, [name])
        if name not in errors:
            return "no two held-out structures have the same composition"
        return calibrate(errors[name])
    except ConfigError as error:  # too few structures, or all members agree
        return str(error)


def _seconds(evaluator: Evaluator, one: LabelledStructure, names: frozenset[str]) -> float:
    times = []
    for _ in range(N_TIMED):
        start = time.perf_counter()
        observe([one.structure], [evaluator], names)
        times.append(time.perf_counter() - start)
    return min(times)
