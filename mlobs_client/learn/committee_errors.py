"""Compare committees with labels, for :mod:`mlobs_client.analysis.calibration`.

Energies have no common zero, and each network has its own offset for each composition. Only
differences between structures of one composition are meaningful. So the mean error of each member
is subtracted for each composition.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlobs_client.analysis.calibration import Errors
from mlobs_client.client.total_energy import observe
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.quantities import Quantity, of_members, symmetric_components
from mlobs_client.structure import Array

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Compared:
    """A structure with its label ``[row, component]`` and members ``[m, row, component]``."""

    one: LabelledStructure
    label: Array
    members: Array


def committee_errors(
    evaluators: Sequence[Evaluator],
    labelled: Sequence[LabelledStructure],
    quantities: Sequence[str],
) -> dict[str, Errors]:
    """Evaluate committees on labelled structures.

    Errors of extensive quantities are scaled to the mean number of atoms by the square root of the
    ratio of the numbers of atoms.

    Args:
        evaluators: evaluators of a client whose alphas are all 1.
        labelled: structures with labels of these quantities; a stress can replace virials.
        quantities: names in :func:`mlobs_client.quantities.of_members`.

    Returns:
        Errors by quantity; without energies if no two structures have the same composition.

    Raises:
        EvaluationError: the models cannot evaluate a structure.
    """
    known = of_members()
    rows = {quantity: known[quantity] for quantity in quantities}
    structures = [one.structure for one in labelled]
    values = observe(structures, evaluators, frozenset(row.name for row in rows.values()))
    size = mean_size(labelled)
    errors = {}
    for quantity, row in rows.items():
        compared = [
            _compare(row, one, value[row.name] / row.to_users.factor)
            for one, value in zip(labelled, values, strict=True)
        ]
        if quantity == "energy":
            compared = _without_offsets(compared)
        if not compared:
            logger.warning(
                "no two labelled structures have the same composition, so there are no energy "
                "differences to compare; give more structures to calibrate energies"
            )
            continue
        errors[quantity] = _join(row, compared, size)
    return errors


def mean_size(labelled: Sequence[LabelledStructure]) -> float:
    """Return the mean number of atoms, to which extensive quantities are scaled."""
    return float(np.mean([one.structure.n_atoms for one in labelled]))


def _compare(row: Quantity, one: LabelledStructure, members: Array) -> _Compared:
    label = _label(row.members_of, one, members)
    if row.is_symmetric:
        label, members = symmetric_components(label), symmetric_components(members)
    n_rows = len(label) if row.per == "atom" else 1
    return _Compared(one, label.reshape(n_rows, -1), members.reshape(len(members), n_rows, -1))


def _label(quantity: str, one: LabelledStructure, members: Array) -> Array:
    """Return the label; a dipole is moved to the branch nearest to the mean of the committee."""
    if quantity == "dipole":
        mean = members.mean(axis=0)
        return np.asarray(mean + one.quanta.fold(one.labels["dipole"] - mean))
    label = one.find(quantity)
    assert label is not None
    return label


def _without_offsets(compared: Sequence[_Compared]) -> list[_Compared]:
    """Subtract the mean error of each member; compositions with one structure are left out."""
    by_formula = defaultdict(list)
    for each in compared:
        by_formula[each.one.formula].append(each)
    corrected = []
    for alike in by_formula.values():
        if len(alike) == 1:
            continue
        offsets = np.mean([each.members - each.label for each in alike], axis=0)
        _warn_of_offsets(offsets, np.array([each.members - each.label for each in alike]))
        # less a mean of n, the others are smaller by sqrt(1 - 1/n)
        stretch = np.sqrt(len(alike) / (len(alike) - 1))
        for each in alike:
            members = each.label + stretch * (each.members - each.label - offsets)
            corrected.append(_Compared(each.one, each.label, members))
    if corrected and (n_alone := len(compared) - len(corrected)):
        logger.warning(
            "%d of %d labelled structures are left out of the energies, because each is the only "
            "one of its composition; give at least two of each",
            n_alone,
            len(compared),
        )
    return corrected


def _warn_of_offsets(offsets: Array, errors: Array) -> None:
    """Warn about offsets ``[m, 1, 1]`` that exceed errors ``[structure, m, 1, 1]``."""
    between, within = offsets.std(ddof=1), (errors - offsets).std(axis=1, ddof=1)
    if between > np.sqrt(np.mean(within**2)):
        logger.warning(
            "energies of the members differ by constants of %.3g eV, more than they differ between "
            "structures: energy_spread shows the constants, but alpha is for differences of "
            "energies; train with energies, or shift the members to one mean",
            between,
        )


def _join(row: Quantity, compared: Sequence[_Compared], size: float) -> Errors:
    """Join the errors of all structures, scaled to this number of atoms."""
    errors, deviations, frames = [], [], []
    for k, each in enumerate(compared):
        scale = 1.0 if row.per == "atom" else np.sqrt(size / each.one.structure.n_atoms)
        mean = each.members.mean(axis=0)
        errors.append(scale * (each.label - mean))
        deviations.append(scale * (each.members - mean))
        frames.append(np.full(len(each.label), k))
    return Errors(
        quantity=row.members_of,
        unit=row.to_users.name,
        errors=np.concatenate(errors),
        deviations=np.concatenate(deviations, axis=1),
        frames=np.concatenate(frames),
    )
