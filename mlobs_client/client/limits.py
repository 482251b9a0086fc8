"""What a client refuses to answer: structures beyond [limits], which it keeps for a person."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.client.config import Limits
from mlobs_client.errors import EvaluationError, RecordError
from mlobs_client.files import replacing
from mlobs_client.structure import Prediction, Structure, to_atoms
from mlobs_client.units import ANGSTROM, EV

REFUSED: Final = "refused.xyz"
"""The file in which they are kept, beside the client file."""


def check_limits(predictions: Sequence[Prediction], limits: Limits) -> None:
    """Refuse what is beyond.

    Raises:
        EvaluationError: a force or a spread is too large.
    """
    for prediction in predictions:
        if limits.force is not None:
            forces = np.linalg.norm(prediction.forces, axis=1) * ANGSTROM / EV
            atom = int(forces.argmax())
            if forces[atom] > limits.force:
                raise EvaluationError(
                    f"the force on atom {atom} is {forces[atom]:.3g} eV/angstrom, more than "
                    f"[limits] force = {limits.force:g}"
                )
        if limits.energy_spread is not None:
            spread = float(prediction.observables["energy_spread"]) / EV
            if spread > limits.energy_spread:
                raise EvaluationError(
                    f"the models differ by {spread:.3g} eV, more than [limits] energy_spread = "
                    f"{limits.energy_spread:g}"
                )


def keep_refused(structures: Sequence[Structure], path: Path) -> str:
    """Write the structures of a request that got no answer; say where.

    Args:
        structures: of the request, at most one for each bead.
        path: of a file that ASE can write; what it had is replaced.
    """
    import ase.io

    frames = [to_atoms(one.numbers, one.positions, one.cell, one.pbc) for one in structures]
    try:
        with replacing(path, writer=f"-{os.getpid()}") as draft:
            ase.io.write(draft, frames, format="extxyz")
    except RecordError as error:
        return f"its structures could not be kept in {error}"
    return f"its structures are in {path}"
