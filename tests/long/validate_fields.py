"""``make validate``: responses to fields that are too long for the tests, against exact numbers.

``python validate_fields.py`` runs everything (a quarter of an hour) and writes the results;
``python validate_fields.py NAME`` runs one study and writes nothing.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import exact
import fields
from report import run

STUDIES = {
    "dielectric_constant": exact.dielectric_constant,
    "fixed_displacement": fields.fixed_displacement,
    "strain_in_a_field": fields.strain_in_a_field,
}


def main() -> int:
    """Run the studies; 1 if a figure does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        studies = {name: partial(study, Path(scratch, name)) for name, study in STUDIES.items()}
        return run("fields", studies)


if __name__ == "__main__":
    sys.exit(main())
