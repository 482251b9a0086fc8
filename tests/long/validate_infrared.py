"""``make validate``: the infrared absorption of liquid water, the first figure of README.md.

``python validate_infrared.py`` takes 50 minutes of one core. The runs stay in ``build/infrared``:
interrupted, they go on, and when they are done, only the figure is made anew.
"""

from __future__ import annotations

import sys
from functools import partial

from infrared import infrared_of_water
from report import RESULTS, ROOT, run


def main() -> int:
    """Run the study; 1 if a figure does not hold."""
    study = partial(infrared_of_water, ROOT / "build" / "infrared", RESULTS / "infrared_of_water")
    return run("infrared", {"infrared_of_water": study})


if __name__ == "__main__":
    sys.exit(main())
