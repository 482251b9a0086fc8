"""Check that i-PI fixes the atoms that are fixed in a structure file of ASE.

A client gives only forces: constraints of ASE (``FixAtoms``; ``move_mask`` in extended xyz) have no
effect on i-PI.

Source:
    i-PI 3.3.1, ``inputs/motion/motion.py``: ``<fixatoms>`` counts atoms from 0, and
    ``<fixatoms_dof>`` coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlobs_client.check.finding import Finding, ok, warning
from mlobs_client.check.initial_state import InitialState
from mlobs_client.client.structure_file import StructureFile
from mlobs_client.ipi.input import IpiInput
from mlobs_client.structure import Integers

SHOWN: Final = 6  # atoms


def check_fixed_atoms(
    ipi: IpiInput, state: InitialState, file: StructureFile, name: str
) -> Iterator[Finding]:
    """Compare the fixed coordinates of i-PI with those of a structure file.

    Args:
        ipi: the input.
        state: initial state of i-PI.
        file: structure of a client file.
        name: name of the structure file.
    """
    if file.constraints:
        yield warning(
            f"{name} has constraints of ASE, which have no effect on i-PI: "
            f"{', '.join(file.constraints)}",
            f"remove them from {name}, or see <motion mode='constrained_dynamics'> of i-PI",
        )
    if not len(file.fixed):
        return
    ours = _describe(file.fixed)
    if np.array_equal(file.fixed, state.fixed):
        yield ok(f"i-PI fixes {ours}, as {name} does")
        return
    theirs = _describe(np.array(state.fixed, dtype=np.int64))
    yield warning(
        f"{name} fixes {ours}, which has no effect on i-PI, and {ipi.path.name} fixes {theirs}",
        f"write {write_fixed(file.fixed)} into <motion> of {ipi.path.name}, instead of other fixed "
        f"atoms, or remove the constraint (move_mask) from {name}",
    )


def _atoms(fixed: Integers) -> list[int] | None:
    """Return atoms whose coordinates are all fixed; None if some are fixed in part."""
    atoms, counts = np.unique(fixed // 3, return_counts=True)
    return atoms.tolist() if (counts == 3).all() else None


def _describe(fixed: Integers) -> str:
    atoms = _atoms(fixed)
    if atoms is None:
        return f"{len(fixed)} coordinates"
    first = ", ".join(map(str, atoms[:SHOWN])) + (", ..." if len(atoms) > SHOWN else "")
    return f"{len(atoms)} atoms ({first})" if atoms else "none"


def write_fixed(fixed: Integers) -> str:
    """Return the tag that fixes these coordinates in i-PI."""
    atoms = _atoms(fixed)
    if atoms is None:
        return f"<fixatoms_dof> {fixed.tolist()} </fixatoms_dof>"
    return f"<fixatoms> {atoms} </fixatoms>"
