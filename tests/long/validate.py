"""``make validate``: physics that is too long for the tests, against exact numbers.

``python validate.py`` runs everything (under two hours on two cores) and writes the results;
``python validate.py NAME`` runs one study and writes nothing. Interrupted, it goes on with the
studies that are missing, as long as the commit is the same.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import exact
import water
from report import Figure, keep, resume, write
from rich.progress import track

STUDIES = {
    "quantum_oscillator": exact.quantum_oscillator,
    "double_well": exact.double_well,
    "anharmonic_kinetic_energy": exact.anharmonic_kinetic_energy,
    "dipole_in_a_field": exact.dipole_in_a_field,
    "infrared_sum_rule": exact.infrared_sum_rule,
    "conservation": water.conservation,
    "held_out_errors": lambda folder: water.held_out_errors(),
}


def main() -> int:
    """Run the studies; 1 if a figure does not hold."""
    everything = not sys.argv[1:]
    names = sys.argv[1:] or list(STUDIES)
    studies: dict[str, list[Figure]] = resume("validate") if everything else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in track([name for name in names if name not in studies], "validating"):
            studies[name] = STUDIES[name](Path(scratch) / name)
            if everything:
                keep("validate", studies)
    figures = [figure for name in names for figure in studies[name]]
    if everything:
        write("validate", figures)
    for figure in figures:
        mark = {True: "holds", False: "DOES NOT HOLD", None: ""}[figure.passed]
        error = "" if figure.error is None else f" +- {figure.error:.2g}"
        print(
            f"{figure.name:45s} {figure.value:.6g}{error} {figure.unit}  {figure.reference} {mark}"
        )
    return int(any(figure.passed is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
