"""Read velocities of atoms, or of centroids for path integrals, from any kind of file."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import say_other_beads
from mlobs_client.ipi.series import Source
from mlobs_client.ipi.trajectory import Trajectory, open_trajectory, read_beads
from mlobs_client.units import DALTON, EV, VELOCITY_UNITS

logger = logging.getLogger(__name__)

VELOCITY_OUTPUTS: Final = ("v_centroid", "velocities")
"""Trajectories of i-PI with velocities; the mean over all beads is the centroid's velocity."""

COLUMNS: Final = ("velocities", "velocity", "velo", "vel")
"""Names of the columns of velocities in extended xyz from other programs."""

MOMENTA: Final = "momenta"
"""Column that ASE writes in place of velocities."""

_OF_ASE: Final = math.sqrt(EV * DALTON)  # its unit of momenta, sqrt(u eV)
_REMEDY: Final = (
    "write a column of velocities, in angstrom/fs: "
    "atoms.set_array('velocities', atoms.get_velocities() * ase.units.fs)"
)


def read_velocities(path: Path, source: Source) -> Trajectory:
    """Read velocities, as ``[step, atom, 3]``, bohr/atu, averaged over beads if there are several.

    Args:
        path: a trajectory of i-PI, the path that its beads share, or extended xyz with a column of
            velocities, or of momenta as ASE writes them.
        source: name and unit of this column; if the name is empty, the first of :data:`COLUMNS`
            that exists, or else :data:`MOMENTA`, is read.

    Raises:
        RecordError: a file is missing, holds another quantity, or has its own unit in addition to
            that of the source; or the masses for momenta are unknown.
    """
    if source.key == "momentum":
        raise RecordError(f"{path}: momentum has no known unit and is not a velocity; {_REMEDY}")
    if path.is_file():
        say_other_beads(path)
        reader = open_trajectory(path, columns=(source.key,) if source.key else (*COLUMNS, MOMENTA))
        reader.require_one_frame_per_step()
        found = reader.read_all()
    else:
        found = _mean_over_beads(path)
    if found.quantity == f"column {MOMENTA}":
        found = _from_momenta(path, found)
    elif found.quantity.startswith("column "):
        unit = source.unit or "angstrom/fs"
        if not source.unit:
            logger.warning(
                "%s: gives no unit of velocities; %s is assumed; --unit sets another", path, unit
            )
        return replace(found, quantity="velocities", values=found.values * VELOCITY_UNITS[unit])
    if found.quantity not in VELOCITY_OUTPUTS:
        raise RecordError(f"{path}: holds {found.quantity}; velocities or v_centroid are needed")
    if source.unit:
        raise RecordError(f"{path}: gives its units itself; leave out --unit {source.unit}")
    return found


def _from_momenta(path: Path, found: Trajectory) -> Trajectory:
    """Divide ASE's momenta by ASE's masses: from the column, or else from the elements."""
    from ase.data import atomic_masses, chemical_symbols

    masses, origin = found.masses, "the column masses"
    if masses is None:
        masses, origin = atomic_masses[found.numbers] * DALTON, "ASE's masses of the elements"
        if found.labels != tuple(chemical_symbols[z] for z in found.numbers):
            raise RecordError(
                f"{path}: has momenta, but no column masses, and its labels "
                f"{', '.join(dict.fromkeys(found.labels))} are not those of ASE; {_REMEDY}"
            )
    if not (np.isfinite(masses).all() and (masses > 0.0).all()):
        raise RecordError(f"{path}: momenta need masses; the column has {masses.min() / DALTON} u")
    logger.warning("%s: velocities are its momenta, in ASE's unit, divided by %s", path, origin)
    values = found.values * _OF_ASE / masses[:, None]
    return replace(found, quantity="velocities", values=values, masses=masses)


def _mean_over_beads(base: Path) -> Trajectory:
    beads = read_beads(base)
    n_beads = beads.values.shape[1]
    quantity = beads.quantity if n_beads == 1 else "v_centroid"
    return replace(beads, values=beads.values.mean(axis=1), quantity=quantity)
