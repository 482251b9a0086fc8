"""Refuse structures whose forces or spreads exceed [limits], and keep them in a file."""

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
"""Name of the file with refused structures, in the folder of the client file."""


def check_limits(predictions: Sequence[Prediction], limits: Limits) -> None:
    """Compare predictions with the limits.

    Args:
        predictions: predictions for the structures of a request.
        limits: [limits] of the client file.

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
    """Write the structures of a request that was refused; return a text that names the file.

    Args:
        structures: structures of the request, at most one for each bead.
        path: path of the file; an older one is replaced.
    """
    import ase.io

    frames = [to_atoms(one.numbers, one.positions, one.cell, one.pbc) for one in structures]
    try:
        with replacing(path, writer=f"-{os.getpid()}") as draft:
            ase.io.write(draft, frames, format="extxyz")
    except RecordError as error:
        return f"its structures could not be written: {error}"
    return f"its structures are in {path}"
