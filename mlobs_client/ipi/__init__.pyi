from .extras import Extras, read_bead_extras, read_extras
from .properties import Properties, read_properties
from .trajectory import (
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
