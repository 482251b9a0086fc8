"""``make validate``: physics that is too long for the tests, against exact numbers.

``python validate.py`` runs everything (under two hours on two cores) and writes the results;
``python validate.py NAME`` runs one study and writes nothing. Interrupted, it goes on with the
studies that are missing, as long as the commit is the same.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import branches
import exact
import water
from report import run

STUDIES = {
    "quantum_oscillator": exact.quantum_oscillator,
    "double_well": exact.double_well,
    "anharmonic_kinetic_energy": exact.anharmonic_kinetic_energy,
    "dipole_in_a_field": exact.dipole_in_a_field,
    "infrared_sum_rule": exact.infrared_sum_rule,
    "branches": lambda folder: branches.branches(),
    "conservation": water.conservation,
    "held_out_errors": lambda folder: water.held_out_errors(),
}


def main() -> int:
    """Run the studies; 1 if a figure does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        studies = {name: partial(study, Path(scratch, name)) for name, study in STUDIES.items()}
        return run("validate", studies)


if __name__ == "__main__":
    sys.exit(main())
