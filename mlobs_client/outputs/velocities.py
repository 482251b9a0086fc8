"""Velocities of the atoms, of centroids for path integrals, from whatever file holds them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from mlobs_client.errors import RecordError
from mlobs_client.outputs.continuation import say_other_beads
from mlobs_client.outputs.series import Source
from mlobs_client.outputs.trajectory import Trajectory, open_trajectory, read_beads
from mlobs_client.units import VELOCITY_UNITS

logger = logging.getLogger(__name__)

QUANTITIES: Final = ("v_centroid", "velocities")
"""Of i-PI; the mean of the velocities of all beads is that of the centroid."""

COLUMNS: Final = ("velocities", "velocity", "velo", "vel")
"""Names that others give to columns of extended xyz."""

MOMENTA: Final = ("momenta", "momentum")
"""What ASE writes in place of velocities."""


def read_velocities(path: Path, source: Source) -> Trajectory:
    """Read velocities, as ``[step, atom, 3]``, bohr/atu; the mean over beads where there are many.

    Args:
        path: a trajectory of i-PI, the name of all its beads, or extended xyz with a column of
            velocities.
        source: the name of this column, or one of :data:`COLUMNS` where it is empty, and its unit.

    Raises:
        RecordError: a file is missing, or holds something else (momenta, too), or tells its unit
            besides.
    """
    if source.key in MOMENTA:
        raise RecordError(
            f"{path}: {source.key} are no velocities; write a column of these, in angstrom/fs: "
            "atoms.set_array('velocities', atoms.get_velocities() * ase.units.fs)"
        )
    if path.is_file():
        say_other_beads(path)
        reader = open_trajectory(path, columns=(source.key,) if source.key else COLUMNS)
        reader.require_one_frame_per_step()
        found = reader.read_all()
    else:
        found = _mean_over_beads(path)
    if found.quantity.startswith("column "):
        unit = source.unit or "angstrom/fs"
        if not source.unit:
            logger.warning(
                "%s: gives no unit of velocities; %s is assumed, --unit sets another", path, unit
            )
        return replace(found, quantity="velocities", values=found.values * VELOCITY_UNITS[unit])
    if found.quantity not in QUANTITIES:
        raise RecordError(f"{path}: holds {found.quantity}; velocities or v_centroid are needed")
    if source.unit:
        raise RecordError(f"{path}: gives its units itself; leave out --unit {source.unit}")
    return found


def _mean_over_beads(base: Path) -> Trajectory:
    beads = read_beads(base)
    n_beads = beads.values.shape[1]
    quantity = beads.quantity if n_beads == 1 else "v_centroid"
    return replace(beads, values=beads.values.mean(axis=1), quantity=quantity)
