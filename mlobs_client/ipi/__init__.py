"""Readers of what i-PI writes: properties, trajectories and extras, in Hartree atomic units.

A run that was killed and continued is read as one: what is torn is left out with a warning, and
where steps were done twice, the later ones count.
"""

from mlobs_client.ipi.extras import Extras, read_bead_extras, read_extras
from mlobs_client.ipi.properties import Properties, read_properties
from mlobs_client.ipi.trajectory import (
    Frame,
    Trajectory,
    iterate_beads,
    open_trajectory,
    read_beads,
)

__all__ = [
    "Extras",
    "Frame",
    "Properties",
    "Trajectory",
    "iterate_beads",
    "open_trajectory",
    "read_bead_extras",
    "read_beads",
    "read_extras",
    "read_properties",
]
